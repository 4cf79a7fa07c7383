"""The offline model on loopback: a small Messages API that the real CLI talks to.

Law: it listens on 127.0.0.1 only and sends nothing anywhere else. The errors are those of
https://docs.claude.com/en/api/errors.
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from executor.offline.instance import Json
from executor.offline.reply import OfflineRequest, build_events, build_message, build_reply, count_input_tokens

MAX_BODY_BYTES = 256 * 1024 * 1024


def build_error(kind: str, sentence: str) -> Json:
    """The service's error envelope."""
    return {"type": "error", "error": {"type": kind, "message": sentence}}


class MalformedRequest(Exception):
    """Not a request this server can read; the message says why."""


_request_decoder = msgspec.json.Decoder(OfflineRequest)


class HttpRequest(Struct, frozen=True):
    """One HTTP request; path: without its query."""

    method: str
    path: str
    body: bytes


async def read_http(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request; None when the client closed. Raises Malformed."""
    try:
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        method, target, version = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        length = headers.get("content-length", "0")
        if version != "HTTP/1.1" or "transfer-encoding" in headers or not re.fullmatch("[0-9]{1,18}", length):
            raise MalformedRequest("HTTP/1.1 with a Content-Length is spoken here")
        if int(length) > MAX_BODY_BYTES:
            raise MalformedRequest(f"a body of {length} bytes; at most {MAX_BODY_BYTES} are read")
        return HttpRequest(method, target.partition("?")[0], await reader.readexactly(int(length)))
    except asyncio.IncompleteReadError as cut:
        if cut.partial and cut.expected is None:
            raise MalformedRequest("the request is cut short") from cut
        return None
    except asyncio.LimitOverrunError as long:
        raise MalformedRequest("the head of the request is too long") from long
    except ValueError as odd:
        raise MalformedRequest("the request line is not one of HTTP") from odd


def build_head(status: str, *fields: str) -> bytes:
    """A response's head."""
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode("ascii")


class OfflineModel:
    """The server. delay: seconds before each piece, so that a stream is seen to stream.

    Mutable: the socket it listens on, and a task for each connection.
    """

    def __init__(self, delay: float = 0.01) -> None:
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen on a free port of loopback; the base URL."""
        self._server = await asyncio.start_server(self._handle_connection, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """End every connection, answered or not."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve_connection(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while http := await read_http(reader):
                await self._answer_request(http, writer)
        except MalformedRequest as odd:
            with contextlib.suppress(ConnectionError):
                await _send_json(
                    writer, "400 Bad Request", build_error("invalid_request_error", str(odd)), "connection: close"
                )
        except asyncio.CancelledError:
            # The client may not be reading, and closing waits for it.
            writer.transport.abort()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer_request(self, http: HttpRequest, writer: asyncio.StreamWriter) -> None:
        """Answer one request. Raises Malformed."""
        if http.method != "POST" or http.path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            lost = build_error(
                "not_found_error", "The offline model answers POST /v1/messages and its count_tokens only."
            )
            await _send_json(writer, "404 Not Found", lost, body=http.method != "HEAD")
            return
        try:
            request = _request_decoder.decode(http.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as odd:
            raise MalformedRequest(f"the body is not a request for a message: {odd}") from odd
        name = uuid.uuid4().hex
        if http.path.endswith("count_tokens"):
            await _send_json(writer, "200 OK", {"input_tokens": count_input_tokens(request)})
        elif request.stream:
            await self._stream_events(build_events(request, build_reply(request), name), writer)
        else:
            await _send_json(writer, "200 OK", build_message(request, build_reply(request), name))

    async def _stream_events(self, stream: Iterator[Json], writer: asyncio.StreamWriter) -> None:
        fields = ("content-type: text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        await _write(writer, build_head("200 OK", *fields))
        for event in stream:
            if event["type"] == "content_block_delta":
                await asyncio.sleep(self._delay)
            data = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event))
            await _write(writer, b"%x\r\n%b\r\n" % (len(data), data))
        await _write(writer, b"0\r\n\r\n")


async def _send_json(writer: asyncio.StreamWriter, status: str, value: Json, *more: str, body: bool = True) -> None:
    data = msgspec.json.encode(value)
    start = build_head(status, "content-type: application/json", f"content-length: {len(data)}", *more)
    await _write(writer, start + data if body else start)


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write. Raises ConnectionError when the client is gone, which uvloop would call a RuntimeError."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(data)
    await writer.drain()
