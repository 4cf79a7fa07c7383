"""The least a streaming HTTP client can be, so that what is measured is the server: one kept-alive connection.

Chunked transfer coding as in RFC 9112 §7.1; server-sent events as both services write them, one `data:` line each.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec

TIMEOUT = 30.0
DATA = b"data: "


class Arrived(NamedTuple):
    """A server-sent event, and when its bytes were here. data: None is `[DONE]`."""

    at: float
    data: Any


class Connection:
    """Mutable: the connection's place in the stream of bytes. One request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncGenerator[Self]:
        address = urlsplit(url)
        assert address.hostname == "127.0.0.1"
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def post(self, path: str, body: object, headers: Mapping[str, str]) -> AsyncGenerator[Arrived]:
        """Send a request; the events of its answer as they arrive. Raises TimeoutError when one is late."""
        answer = await self._send(path, body, headers)
        assert b" 200 " in answer.split(b"\r\n")[0], answer
        assert b"transfer-encoding: chunked" in answer.lower(), answer
        pending = b""
        while chunk := await self._chunk():
            now = time.perf_counter()
            *whole, pending = (pending + chunk).split(b"\n\n")
            for event in whole:
                for line in event.split(b"\n"):
                    if line.startswith(DATA):
                        said = line.removeprefix(DATA)
                        yield Arrived(now, None if said == b"[DONE]" else msgspec.json.decode(said))

    async def ask(self, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a request; its whole answer, whatever its status. Raises TimeoutError when it is late."""
        answer = await self._send(path, body, headers)
        [length] = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        async with asyncio.timeout(TIMEOUT):
            return msgspec.json.decode(await self._reader.readexactly(int(length.partition(b":")[2])))

    async def _send(self, path: str, body: object, headers: Mapping[str, str]) -> bytes:
        """Send a request; the head of its answer."""
        payload = msgspec.json.encode(body)
        fields = {"host": "127.0.0.1", "content-type": "application/json", "content-length": str(len(payload))}
        head = "".join(f"{name}: {value}\r\n" for name, value in {**fields, **headers}.items())
        self._writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + payload)
        async with asyncio.timeout(TIMEOUT):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def _chunk(self) -> bytes:
        """The next chunk of the body; empty at its end."""
        async with asyncio.timeout(TIMEOUT):
            size = int(await self._reader.readline(), 16)
            return (await self._reader.readexactly(size + 2))[:size]
