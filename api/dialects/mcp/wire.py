"""A request's two ends, so that a stream can be ended and kept alive from here.

Law: what is sent here goes between two events of the library's, never into one: each of its messages is whole events.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar.types import Message, Receive, Send

from api.dialects.mcp.accept import EITHER, STREAM, fitting
from api.http.event_stream import COMMENT


class Wire:
    """Mutable: how far the response is, and what the client sent that is to be read again.

    body: what is read of the request in the place of what was sent, if that was read already. kinds: the types of
    answers that its client accepts.
    """

    def __init__(self, receive: Receive, send: Send, body: bytes | None = None, kinds: frozenset[str] = EITHER) -> None:
        self._receive = receive
        self._gone = False
        self._send = fitting(send, kinds, lambda: self._gone)
        self._body = body
        self._over = asyncio.Event()
        self._said = asyncio.Event()
        self._one = asyncio.Lock()
        self._open = False
        self._streams = False

    def hang_up(self) -> None:
        """As if the client had gone."""
        self._over.set()

    async def receive(self) -> Any:
        """What the client sends, or that it is over."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        came = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({came, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not came.done():
                came.cancel()
        if not came.done():
            return {"type": "http.disconnect"}
        self._gone = came.result()["type"] == "http.disconnect"
        return came.result()

    async def send(self, message: Message) -> None:
        """What the client gets."""
        async with self._one:
            if message["type"] == "http.response.start":
                self._open = True
                kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
                self._streams = any(kind.startswith(STREAM.encode()) for kind in kinds)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self._open = False
            self._said.set()
            await self._send(message)

    async def end(self) -> None:
        """End a response that was left open."""
        if self._open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def alive(self, silence: float) -> AsyncGenerator[None]:
        """Within this, a stream that is silent for so many seconds says that it is alive."""
        pulse = asyncio.create_task(self._pulse(silence))
        try:
            yield
        finally:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)

    async def _pulse(self, silence: float) -> None:
        while True:
            self._said.clear()
            try:
                async with asyncio.timeout(silence):
                    await self._said.wait()
            except TimeoutError:
                async with self._one:
                    if self._open and self._streams:
                        await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})
