"""The endpoint /mcp: checks requests before `api.dialects.mcp.sessions` handles them.

Invariants: an invalid message is rejected here, with this server's own error. The SDK is loaded with the first request: it
takes a quarter of the program's memory, and many servers never need it. Idle event streams end as soon as the server
drains.
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
from api.core.problems import Problem
from api.core.scopes import REQUIRED_SCOPE
from api.dialects.mcp import messages
from api.dialects.mcp.accept import BOTH_TYPES, JSON, STREAM, not_acceptable_problem, parse_accept
from api.dialects.mcp.channel import McpChannel
from api.http.drain import Drain
from api.http.json_decoding import BodyDecoder
from api.http.request_body import receive_body

if TYPE_CHECKING:
    from api.dialects.mcp.sessions import McpSessions

# The SDK parses a message again, on the event loop.
MAX_MESSAGE_VALUES = 30_000
METHODS = ("DELETE", "GET", "POST")
KEEPALIVE_INTERVAL, SESSION_IDLE_TIMEOUT, MAX_SESSIONS = 15.0, 15 * 60.0, 256

log = structlog.get_logger()


class McpEndpoint:
    """The endpoint. Mutable: whether a request has arrived, and the sessions.

    keep_alive: seconds of silence before a stream sends a keep-alive comment. idle_timeout: seconds without a request
    before a session ends. max_sessions: the limit of all sessions; a key may have half of them.
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
        """The number of open sessions."""
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
        """Opens the sessions with the first request, and closes them when this is cancelled."""
        await self._requested.wait()
        try:
            await asyncio.to_thread(importlib.import_module, "api.dialects.mcp.sessions")
            from api.dialects.mcp import sessions  # noqa: PLC0415 # loaded in the thread

            async with sessions.open_sessions(
                self._agent_services, self._version, idle_timeout=self._idle_timeout, max_sessions=self._max_sessions
            ) as opened_sessions:
                opened.set_result(opened_sessions)
                await asyncio.Event().wait()
        except Exception as error:
            log.exception("MCP sessions failed")
            if not opened.done():
                opened.set_exception(error)

    def route(self) -> ASGIRouteHandler:
        """Returns the handler of /mcp."""
        return asgi("/mcp", copy_scope=True, opt={REQUIRED_SCOPE: "mcp"})(self.handle)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one HTTP request. Raises Problem."""
        headers = Headers.from_scope(scope)
        self._hosts.check(headers.get("host", ""), headers.get("origin", ""))
        caller = get_caller_from_scope(scope)
        method = scope.get("method")
        if method not in METHODS:
            raise MethodNotAllowedException(headers={"allow": ", ".join(METHODS)})
        kinds = parse_accept(", ".join(headers.getall("accept", [])))
        if method == "GET" and STREAM not in kinds:
            raise not_acceptable_problem(STREAM)
        body, opens = await self._read_message(caller, scope, receive, kinds) if method == "POST" else (None, False)
        assert self._sessions
        self._requested.set()
        sessions = await asyncio.shield(self._sessions)
        channel = McpChannel(receive, send, body, kinds if body is not None else BOTH_TYPES)
        inner = normalize_scope(scope, len(body) if body is not None else None)
        body = None  # the channel has its own reference
        async with channel.keep_alive(self._keep_alive):
            with ExitStack() as stack:
                if method == "GET":
                    stack.enter_context(self._drain.track_waiter(channel.disconnect))
                    stack.enter_context(self._revocation.track_job(caller, "", lambda _failed: channel.disconnect()))
                if opens:
                    self._revocation.track_resource(caller, "mcp", lambda: sessions.end_sessions(caller.key_id))
                await sessions.handle(inner, caller.key_id, channel.receive, channel.send, opens=opens)
        await channel.end_response()

    async def _read_message(
        self, caller: Caller, scope: Scope, receive: Receive, kinds: frozenset[str]
    ) -> tuple[bytes, bool]:
        """Returns the body of a POST, and whether it may open a session. Raises Problem (400, 406, 413, 415, 503).

        kinds: the media types that the client accepts; only a request needs one.
        """
        content_type = Headers.from_scope(scope).get("content-type", JSON)
        if content_type and content_type.partition(";")[0].strip().lower() != JSON:
            raise Problem(415, "unsupported_media_type", f"Send JSON, with Content-Type: {JSON}.")
        body = await receive_body(scope, receive)
        message = await self._decoding.decode(caller.key_id, body, messages.parse_message, MAX_MESSAGE_VALUES)
        if message.method is not None and message.id is not UNSET and not kinds:
            raise messages.InvalidMessage(not_acceptable_problem(f"{JSON}, {STREAM}, or one of them"), message.id)
        return body, message.method == "initialize"


def normalize_scope(scope: Scope, length: int | None) -> Scope:
    """Returns the scope that the SDK expects: it accepts both types, and its body is plain JSON of this length."""
    changed = {b"accept", *((b"content-encoding", b"content-length", b"content-type") if length is not None else ())}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in changed]
    headers.append((b"accept", f"{JSON}, {STREAM}".encode()))
    if length is not None:
        headers += [(b"content-type", JSON.encode()), (b"content-length", str(length).encode())]
    inner: Any = {**scope, "headers": headers}
    return inner
