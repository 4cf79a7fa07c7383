"""Wraps `receive` and `send` of a request, so that the server can end its stream and keep it alive.

Invariants: keep-alive comments are sent between two messages of the SDK. Each of its messages has only complete events.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar.types import Message, Receive, Send

from api.dialects.mcp.accept import BOTH_TYPES, STREAM, adapt_send
from api.http.event_stream import KEEPALIVE_COMMENT


class McpChannel:
    """The channel of one request. Mutable: the state of the response, and the body that is still to be read.

    body: the body that `receive` returns, if it was read before. kinds: the media types that the client accepts.
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
        """Makes `receive` return a disconnect, as if the client had disconnected."""
        self._ended.set()

    async def receive(self) -> Any:
        """Returns the next message of the client, or a disconnect."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        received = asyncio.ensure_future(self._receive())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({received, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not received.done():
                received.cancel()
        if not received.done():
            return {"type": "http.disconnect"}
        self._is_disconnected = received.result()["type"] == "http.disconnect"
        return received.result()

    async def send(self, message: Message) -> None:
        """Sends a message to the client."""
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
        """Ends a response that is still open."""
        if self._is_open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def keep_alive(self, silence: float) -> AsyncGenerator[None]:
        """Sends a keep-alive comment after each `silence` seconds without a message, until the block ends."""
        task = asyncio.create_task(self._send_keepalives(silence))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

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
