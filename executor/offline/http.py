"""One HTTP/1.1 connection of the offline model: h11 parses the requests and frames the responses.

Invariants: whatever a client sends, `read_request` returns a complete request or None, or raises MalformedRequest.
"""

import asyncio

import h11
import msgspec
from msgspec import Struct

from executor.offline.instance import Json

MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
READ_BYTES = 32 * 1024


class MalformedRequest(Exception):
    """The server can't read the request; the message says why."""


class HttpRequest(Struct, frozen=True):
    """One HTTP request. path: without the query."""

    method: str
    path: str
    body: bytes


class HttpConnection:
    """Reads requests and writes responses. Mutable: h11's state of the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def read_request(self) -> HttpRequest | None:
        """Returns the next request; None when the connection is over. Raises MalformedRequest, ConnectionError."""
        if self._protocol.our_state is h11.MUST_CLOSE:
            return None
        if self._protocol.our_state is h11.DONE:
            self._protocol.start_next_cycle()
        method, path, body = "", "", bytearray()
        while True:
            event = await self._read_event()
            if isinstance(event, h11.Request):
                method = event.method.decode()
                path = event.target.partition(b"?")[0].decode("latin-1")
                announced = int(dict(event.headers).get(b"content-length", b"0"))
                _check_body_size(announced)
            elif isinstance(event, h11.Data):
                body += event.data
                _check_body_size(len(body))
            elif isinstance(event, h11.EndOfMessage):
                return HttpRequest(method, path, bytes(body))
            else:
                return None

    async def send_json(self, status: int, value: Json, *, close: bool = False, has_body: bool = True) -> None:
        """Sends a response. has_body: False for the answer to HEAD. Raises ConnectionError."""
        body = msgspec.json.encode(value)
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        head = self._protocol.send(
            h11.Response(status_code=status, headers=headers + [("connection", "close")] * close)
        )
        data = self._protocol.send(h11.Data(data=body)) if has_body else b""
        await self._write(head, data, self._protocol.send(h11.EndOfMessage()))

    async def start_stream(self) -> None:
        """Sends the head of an event stream. Raises ConnectionError."""
        headers = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
        await self._write(self._protocol.send(h11.Response(status_code=200, headers=headers)))

    async def send_event(self, name: str, value: Json) -> None:
        """Sends one server-sent event. Raises ConnectionError."""
        data = b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))
        await self._write(self._protocol.send(h11.Data(data=data)))

    async def end_stream(self) -> None:
        """Sends the end of an event stream. Raises ConnectionError."""
        await self._write(self._protocol.send(h11.EndOfMessage()))

    async def _read_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._protocol.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise MalformedRequest(f"malformed HTTP/1.1 request: {error}") from error
        return event

    async def _write(self, *parts: bytes | None) -> None:
        # A closed transport of uvloop raises RuntimeError instead.
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(b"".join(part for part in parts if part))
        await self._writer.drain()


def _check_body_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise MalformedRequest(f"the body has {size} bytes; the limit is {MAX_BODY_BYTES}")
