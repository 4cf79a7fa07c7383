"""A request's two ends, so that a stream can be ended and kept alive from here.

Invariants: what is sent here goes between two events of the library's, never into one: each of its messages is whole events.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar.types import Message, Receive, Send

from api.dialects.mcp.accept import BOTH_TYPES, STREAM, adapt_send
from api.http.event_stream import KEEPALIVE_COMMENT


class McpChannel:
    """Mutable: how far the response is, and what the client sent that is to be read again.

    body: what is read of the request in the place of what was sent, if that was read already. kinds: the types of
    answers that its client accepts.
    """

    def __init__(
        self, receive: Receive, send: Send, body: bytes | None = None, kinds: frozenset[str] = BOTH_TYPES
    ) -> None:
        self._receive = receive
        self._is_disconnected = False
        self._send = adapt_send(send, kinds, lambda: self._is_disconnected)
        self._body = body
        self._ended = asyncio.Event()
        self._sent = asyncio.Event()
        self._send_lock = asyncio.Lock()
        self._is_open = False
        self._is_stream = False

    def disconnect(self) -> None:
        """As if the client had gone."""
        self._ended.set()

    async def receive(self) -> Any:
        """What the client sends, or that it is over."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        came = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({came, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not came.done():
                came.cancel()
        if not came.done():
            return {"type": "http.disconnect"}
        self._is_disconnected = came.result()["type"] == "http.disconnect"
        return came.result()

    async def send(self, message: Message) -> None:
        """What the client gets."""
        async with self._send_lock:
            if message["type"] == "http.response.start":
                self._is_open = True
                kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
                self._is_stream = any(kind.startswith(STREAM.encode()) for kind in kinds)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                self._is_open = False
            self._sent.set()
            await self._send(message)

    async def end_response(self) -> None:
        """End a response that was left open."""
        if self._is_open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def keep_alive(self, silence: float) -> AsyncGenerator[None]:
        """Within this, a stream that is silent for so many seconds says that it is alive."""
        pulse = asyncio.create_task(self._send_keepalives(silence))
        try:
            yield
        finally:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)

    async def _send_keepalives(self, silence: float) -> None:
        while True:
            self._sent.clear()
            try:
                async with asyncio.timeout(silence):
                    await self._sent.wait()
            except TimeoutError:
                async with self._send_lock:
                    if self._is_open and self._is_stream:
                        await self._send({"type": "http.response.body", "body": KEEPALIVE_COMMENT, "more_body": True})
