"""/mcp: the official implementation of streamable HTTP, behind the same key as everything else.

Law: a session belongs to the key that began it and ends after a while without requests; what waits for nothing in
particular ends as soon as the server drains.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, asgi
from litestar.datastructures import Headers
from litestar.handlers import ASGIRouteHandler
from litestar.types import Message, Receive, Scope, Send
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from api import body
from api.asking import asking
from api.drain import Drain
from api.mcp.hosts import Hosts
from api.mcp.server import Door
from api.scopes import SCOPE
from api.work.tasks import Workshop

SESSION_IDLE = 15 * 60.0
MOST_SESSIONS = 256


class Mcp:
    """The door and its sessions. Mutable: the sessions."""

    def __init__(
        self,
        shop: Workshop,
        hosts: Hosts,
        drain: Drain,
        version: str,
        *,
        session_idle: float = SESSION_IDLE,
        most_sessions: int = MOST_SESSIONS,
    ) -> None:
        self._hosts = hosts
        self._drain = drain
        self._manager = StreamableHTTPSessionManager(
            Door(shop, version).server,
            session_idle_timeout=session_idle,
            max_sessions=most_sessions,
            max_request_body_size=body.LARGEST,
        )

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(self._manager._server_instances)  # noqa: SLF001 # it has no name for others

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncGenerator[None]:
        """Sessions live as long as the application."""
        async with self._manager.run():
            yield

    def route(self) -> ASGIRouteHandler:
        """The handler of /mcp."""
        return asgi("/mcp", copy_scope=True, opt={SCOPE: "mcp"})(self.handle)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request of the protocol's. Raises Problem."""
        headers = Headers.from_scope(scope)
        self._hosts.check(headers.get("host", ""), headers.get("origin", ""))
        inner: Any = dict(scope)
        key = asking(_Scoped(scope), "mcp").holder  # pyright: ignore[reportArgumentType] # only its scope is looked at
        inner["user"] = AuthenticatedUser(AccessToken(token="", client_id=key, scopes=[]))
        wire = Wire(receive, send)
        if inner["method"] == "GET":
            with self._drain.waiting(wire.hang_up):
                await self._manager.handle_request(inner, wire.receive, wire.send)  # pyright: ignore[reportArgumentType]
        else:
            await self._manager.handle_request(inner, wire.receive, wire.send)  # pyright: ignore[reportArgumentType]
        await wire.end()


class _Scoped:
    """What `asking` looks at of a request."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


class Wire:
    """A request's two ends, so that a stream can be ended from here. Mutable: how far the response is."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._over = asyncio.Event()
        self._open = False

    def hang_up(self) -> None:
        """As if the client had gone."""
        self._over.set()

    async def receive(self) -> Any:
        """What the client sends, or that it is over."""
        came = asyncio.ensure_future(self._receive())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({came, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not came.done():
                came.cancel()
        return came.result() if came.done() else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What the client gets."""
        if message["type"] == "http.response.start":
            self._open = True
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._open = False
        await self._send(message)

    async def end(self) -> None:
        """End a response that was left open."""
        if self._open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})
