"""The offline model on loopback: a small Messages API that the real CLI talks to.

Invariants: the server listens on 127.0.0.1 only and sends nothing anywhere else. The errors are those of
https://docs.claude.com/en/api/errors.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

import msgspec

from executor.offline.http import HttpConnection, HttpRequest, MalformedRequest
from executor.offline.instance import Json
from executor.offline.reply import OfflineRequest, build_events, build_message, build_reply, count_input_tokens

NOT_FOUND = "The offline model serves only POST /v1/messages and POST /v1/messages/count_tokens."

_request_decoder = msgspec.json.Decoder(OfflineRequest)


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
        connection = asyncio.create_task(self._serve_connection(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = HttpConnection(reader, writer)
        try:
            while request := await connection.read_request():
                await self._answer_request(request, connection)
        except MalformedRequest as error:
            with contextlib.suppress(ConnectionError):
                await connection.send_json(400, build_error("invalid_request_error", str(error)), close=True)
        except asyncio.CancelledError:
            # `close` waits for the client to read, which it may not do.
            writer.transport.abort()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer_request(self, http: HttpRequest, connection: HttpConnection) -> None:
        """Raises MalformedRequest, ConnectionError."""
        if http.method != "POST" or http.path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            error = build_error("not_found_error", NOT_FOUND)
            await connection.send_json(404, error, has_body=http.method != "HEAD")
            return
        try:
            request = _request_decoder.decode(http.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest(f"the body is not a Messages API request: {error}") from error
        name = uuid.uuid4().hex
        if http.path.endswith("count_tokens"):
            await connection.send_json(200, {"input_tokens": count_input_tokens(request)})
        elif request.stream:
            await self._stream_events(build_events(request, build_reply(request), name), connection)
        else:
            await connection.send_json(200, build_message(request, build_reply(request), name))

    async def _stream_events(self, events: Iterator[Json], connection: HttpConnection) -> None:
        await connection.start_stream()
        for event in events:
            if event["type"] == "content_block_delta":
                await asyncio.sleep(self._delay)
            await connection.send_event(event["type"], event)
        await connection.end_stream()
