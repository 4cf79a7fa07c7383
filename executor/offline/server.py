"""The offline model on loopback: a small Messages API that the real CLI talks to.

Invariants: the server listens on 127.0.0.1 only and sends nothing anywhere else. Whatever a client sends, it gets a complete
answer, the one of a malformed request too. The errors are those of https://docs.claude.com/en/api/errors. h11 parses the
requests and frames the responses.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

import h11
import msgspec

from executor.offline.instance import Json
from executor.offline.reply import OfflineRequest, build_events, build_message, build_reply, count_input_tokens

NOT_FOUND = "The offline model serves only POST /v1/messages and POST /v1/messages/count_tokens."
PATHS = (b"/v1/messages", b"/v1/messages/count_tokens")
MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
READ_BYTES = 32 * 1024

_request_decoder = msgspec.json.Decoder(OfflineRequest)


class MalformedRequest(Exception):
    """The server can't read the request; the message says why."""


def build_error(kind: str, message: str) -> Json:
    """Builds the service's error envelope."""
    return {"type": "error", "error": {"type": kind, "message": message}}


class OfflineModel:
    """The server. delay: seconds before each piece, so that a streamed answer arrives in steps.

    Mutable: the listening socket, and a task for each connection.
    """

    def __init__(self, delay: float = 0.01) -> None:
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listens on a free port of loopback. Returns the base URL."""
        self._server = await asyncio.start_server(self._handle_connection, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Ends every connection, also in the middle of an answer."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(HttpConnection(reader, writer, self._delay).serve())
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)


class HttpConnection:
    """One HTTP/1.1 connection. Mutable: h11's state of the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        self._reader = reader
        self._writer = writer
        self._delay = delay
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def serve(self) -> None:
        """Answers requests until the connection ends."""
        try:
            while request := await self._read_request():
                await self._answer_request(*request)
        except MalformedRequest as error:
            with contextlib.suppress(ConnectionError):
                await self._send_json(400, build_error("invalid_request_error", str(error)), close=True)
        except asyncio.CancelledError:
            # `close` waits for the client to read, which it may not do.
            self._writer.transport.abort()
        except ConnectionError:
            pass
        finally:
            self._writer.close()

    async def _read_request(self) -> tuple[h11.Request, bytes] | None:
        """Returns the next request and its body; None when the connection is over. Raises MalformedRequest, ConnectionError."""
        if self._protocol.our_state is h11.MUST_CLOSE:
            return None
        if self._protocol.our_state is h11.DONE:
            self._protocol.start_next_cycle()
        request = await self._read_event()
        if not isinstance(request, h11.Request):
            return None
        body = bytearray()
        size = int(dict(request.headers).get(b"content-length", b"0"))
        while size <= MAX_BODY_BYTES:
            event = await self._read_event()
            if isinstance(event, h11.EndOfMessage):
                return request, bytes(body)
            if not isinstance(event, h11.Data):
                return None
            body += event.data
            size = len(body)
        raise MalformedRequest(f"the body has {size} bytes; the limit is {MAX_BODY_BYTES}")

    async def _read_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise MalformedRequest(f"malformed HTTP/1.1 request: {error}") from error
        return event

    async def _answer_request(self, http: h11.Request, body: bytes) -> None:
        """Raises MalformedRequest, ConnectionError."""
        path = http.target.partition(b"?")[0]
        if http.method != b"POST" or path not in PATHS:
            await self._send_json(404, build_error("not_found_error", NOT_FOUND), has_body=http.method != b"HEAD")
            return
        try:
            request = _request_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest(f"the body is not a Messages API request: {error}") from error
        name = uuid.uuid4().hex
        if path.endswith(b"count_tokens"):
            await self._send_json(200, {"input_tokens": count_input_tokens(request)})
        elif request.stream:
            await self._stream_events(build_events(request, build_reply(request), name))
        else:
            await self._send_json(200, build_message(request, build_reply(request), name))

    async def _send_json(self, status: int, value: Json, *, close: bool = False, has_body: bool = True) -> None:
        """Sends a response. has_body: False for the answer to HEAD. Raises ConnectionError."""
        body = msgspec.json.encode(value)
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        head = h11.Response(status_code=status, headers=headers + [("connection", "close")] * close)
        await self._send(head, *([h11.Data(data=body)] if has_body else []), h11.EndOfMessage())

    async def _stream_events(self, events: Iterator[Json]) -> None:
        """Sends server-sent events. Raises ConnectionError."""
        headers = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
        await self._send(h11.Response(status_code=200, headers=headers))
        for event in events:
            if event["type"] == "content_block_delta":
                await asyncio.sleep(self._delay)
            data = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event))
            await self._send(h11.Data(data=data))
        await self._send(h11.EndOfMessage())

    async def _send(self, *events: h11.Event) -> None:
        parts = [self._protocol.send(event) or b"" for event in events]
        # A closed transport of uvloop raises RuntimeError instead.
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(b"".join(parts))
        await self._writer.drain()
