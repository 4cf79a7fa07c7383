"""/mcp: who may come in, and the wire; what speaks the protocol is `api.mcp.sessions`.

Law: the protocol's implementation is loaded with the first request: it is a quarter of the program's memory, and many
servers are never asked. What waits for nothing in particular ends as soon as the server drains.
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
from litestar import Litestar, asgi
from litestar.datastructures import Headers
from litestar.handlers import ASGIRouteHandler
from litestar.types import Message, Receive, Scope, Send

from api.asking import asking
from api.drain import Drain
from api.mcp.hosts import Hosts
from api.scopes import SCOPE
from api.work.tasks import Workshop

if TYPE_CHECKING:
    from api.mcp.sessions import Sessions

IDLE, MOST = 15 * 60.0, 256

log = structlog.get_logger()


class Mcp:
    """The door. Mutable: whether anybody came yet, and the sessions since.

    idle: seconds without a request after which a session ends. most: how many there may be.
    """

    def __init__(
        self, shop: Workshop, hosts: Hosts, drain: Drain, version: str, *, idle: float = IDLE, most: int = MOST
    ) -> None:
        self._shop = shop
        self._hosts = hosts
        self._drain = drain
        self._version = version
        self._idle = idle
        self._most = most
        self._wanted = asyncio.Event()
        self._sessions: asyncio.Future[Sessions] | None = None

    @property
    def sessions(self) -> int:
        """How many there are."""
        return self._sessions.result().count if self._sessions and self._sessions.done() else 0

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncGenerator[None]:
        """Sessions live as long as the application."""
        self._sessions = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(self._serve(self._sessions))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _serve(self, opened: "asyncio.Future[Sessions]") -> None:
        """Open the sessions when the first request comes, and keep them until this is cancelled."""
        await self._wanted.wait()
        try:
            await asyncio.to_thread(importlib.import_module, "api.mcp.sessions")
            from api.mcp import sessions  # noqa: PLC0415 # by name, now that it is there

            async with sessions.opened(self._shop, self._version, idle=self._idle, most=self._most) as those:
                opened.set_result(those)
                await asyncio.Event().wait()
        except Exception as error:
            log.exception("what speaks MCP failed")
            if not opened.done():
                opened.set_exception(error)

    def route(self) -> ASGIRouteHandler:
        """The handler of /mcp."""
        return asgi("/mcp", copy_scope=True, opt={SCOPE: "mcp"})(self.handle)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request of the protocol's. Raises Problem."""
        headers = Headers.from_scope(scope)
        self._hosts.check(headers.get("host", ""), headers.get("origin", ""))
        key = asking(_Scoped(scope)).holder  # pyright: ignore[reportArgumentType] # only its scope is looked at
        assert self._sessions
        self._wanted.set()
        sessions = await asyncio.shield(self._sessions)
        wire = Wire(receive, send)
        if scope.get("method") == "GET":
            with self._drain.waiting(wire.hang_up):
                await sessions.handle(scope, key, wire.receive, wire.send)
        else:
            await sessions.handle(scope, key, wire.receive, wire.send)
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
