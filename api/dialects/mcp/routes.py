"""/mcp: who may come in, and with what; what speaks the protocol is `api.dialects.mcp.sessions`.

Law: what is no message is refused here, in words of this server's. The protocol's implementation is loaded with the first
request: it is a quarter of the program's memory, and many servers are never asked. What waits for nothing in particular
ends as soon as the server drains.
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
from litestar import Litestar, asgi
from litestar.datastructures import Headers
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send
from msgspec import UNSET

from api.agent.services import AgentServices
from api.auth.host_check import HostPolicy
from api.auth.revocation import Revocation
from api.core.caller import Caller, get_caller_from_scope
from api.core.keys import Keyring
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.mcp import messages
from api.dialects.mcp.accept import BOTH_TYPES, JSON, STREAM, not_acceptable_problem, parse_accept
from api.dialects.mcp.channel import McpChannel
from api.http.drain import Drain
from api.http.json_decoding import BodyDecoder
from api.http.request_body import receive_body

if TYPE_CHECKING:
    from api.dialects.mcp.sessions import McpSessions

# The library reads a message once more, on the loop.
MAX_MESSAGE_VALUES = 30_000
METHODS = ("DELETE", "GET", "POST")
KEEPALIVE_INTERVAL, SESSION_IDLE_TIMEOUT, MAX_SESSIONS = 15.0, 15 * 60.0, 256

log = structlog.get_logger()


class McpEndpoint:
    """The door. Mutable: whether anybody came yet, and the sessions since.

    keep_alive: seconds of silence after which a stream says that it is alive. idle: seconds without a request after which
    a session ends. most: how many there may be; a key may have half of them.
    """

    def __init__(
        self,
        agent_services: AgentServices,
        hosts: HostPolicy,
        drain: Drain,
        version: str,
        *,
        decoding: BodyDecoder | None = None,
        revocation: Revocation | None = None,
        keep_alive: float = KEEPALIVE_INTERVAL,
        idle_timeout: float = SESSION_IDLE_TIMEOUT,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        self._agent_services = agent_services
        self._hosts = hosts
        self._drain = drain
        self._version = version
        self._decoding = decoding or BodyDecoder()
        self._revocation = revocation or Revocation(Keyring(), lambda _key, _model: True)
        self._keep_alive = keep_alive
        self._idle_timeout = idle_timeout
        self._max_sessions = max_sessions
        self._requested = asyncio.Event()
        self._sessions: asyncio.Future[McpSessions] | None = None

    @property
    def session_count(self) -> int:
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

    async def _serve(self, opened: "asyncio.Future[McpSessions]") -> None:
        """Open the sessions when the first request comes, and keep them until this is cancelled."""
        await self._requested.wait()
        try:
            await asyncio.to_thread(importlib.import_module, "api.dialects.mcp.sessions")
            from api.dialects.mcp import sessions  # noqa: PLC0415 # by name, now that it is there

            async with sessions.open_sessions(
                self._agent_services, self._version, idle_timeout=self._idle_timeout, max_sessions=self._max_sessions
            ) as those:
                opened.set_result(those)
                await asyncio.Event().wait()
        except Exception as error:
            log.exception("what speaks MCP failed")
            if not opened.done():
                opened.set_exception(error)

    def route(self) -> ASGIRouteHandler:
        """The handler of /mcp."""
        return asgi("/mcp", copy_scope=True, opt={REQUIRED_SCOPE: "mcp"})(self.handle)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request of the protocol's. Raises Problem."""
        headers = Headers.from_scope(scope)
        self._hosts.check(headers.get("host", ""), headers.get("origin", ""))
        asking = get_caller_from_scope(scope)
        method = scope.get("method")
        if method not in METHODS:
            raise MethodNotAllowedException(headers={"allow": ", ".join(METHODS)})
        kinds = parse_accept(", ".join(headers.getall("accept", [])))
        if method == "GET" and STREAM not in kinds:
            raise not_acceptable_problem(STREAM)
        body, opens = await self._read_message(asking, scope, receive, kinds) if method == "POST" else (None, False)
        assert self._sessions
        self._requested.set()
        sessions = await asyncio.shield(self._sessions)
        wire = McpChannel(receive, send, body, kinds if body is not None else BOTH_TYPES)
        inner = normalize_scope(scope, len(body) if body is not None else None)
        body = None  # the library has its own copy
        async with wire.keep_alive(self._keep_alive):
            with ExitStack() as stack:
                if method == "GET":
                    stack.enter_context(self._drain.track_waiter(wire.disconnect))
                    stack.enter_context(self._revocation.track_job(asking, "", lambda _failed: wire.disconnect()))
                if opens:
                    self._revocation.track_sessions(asking, lambda: sessions.end_sessions(asking.key_id))
                await sessions.handle(inner, asking.key_id, wire.receive, wire.send, opens=opens)
        await wire.end_response()

    async def _read_message(
        self, caller: Caller, scope: Scope, receive: Receive, kinds: frozenset[str]
    ) -> tuple[bytes, bool]:
        """The message of a POST, unpacked, and whether it may open a session. Raises Problem (400, 406, 413, 415, 503).

        kinds: the types of answers that the client accepts; what is no request has none.
        """
        messages.check_content_type(Headers.from_scope(scope).get("content-type", ""))
        body = await receive_body(scope, receive)
        message = await self._decoding.decode(caller.key_id, body, messages.parse_message, MAX_MESSAGE_VALUES)
        if message.method is not None and message.id is not UNSET and not kinds:
            raise messages.InvalidMessage(not_acceptable_problem(f"{JSON}, {STREAM}, or one of them"), message.id)
        return body, message.method == "initialize"


def normalize_scope(scope: Scope, length: int | None) -> Scope:
    """A request as the library wants it: it accepts both types, and a body is plain JSON of this length."""
    changed = {b"accept", *((b"content-encoding", b"content-length", b"content-type") if length is not None else ())}
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in changed]
    kept.append((b"accept", f"{JSON}, {STREAM}".encode()))
    if length is not None:
        kept += [(b"content-type", JSON.encode()), (b"content-length", str(length).encode())]
    inner: Any = {**scope, "headers": kept}
    return inner
