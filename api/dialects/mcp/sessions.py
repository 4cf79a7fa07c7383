"""The sessions of /mcp: all that touches the official implementation of streamable HTTP, loaded when first asked for.

Law: a session belongs to the key that began it, and ends after a while without requests. When there are as many as there
may be, the one that has been idle the longest makes room; a key that has its share makes it itself.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar.datastructures import Headers
from litestar.types import Scope
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from api.agent.services import AgentServices
from api.core.problems import Problem
from api.dialects.mcp.server import McpHandlers
from api.http import request_body


class SessionManager(StreamableHTTPSessionManager):
    """The library's, which has no share for each owner and makes no room. Mutable: the sessions."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._server_instances)

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        """A new session, which the library makes under its lock. Raises Problem (503)."""
        assert self.max_sessions
        own = [session for session, owner in self._session_owners.items() if owner == requestor]
        if len(own) >= max(1, self.max_sessions // 2):
            self._make_room(own)
        elif self.count >= self.max_sessions:
            self._make_room(list(self._server_instances))
        return super()._admit_session(requestor)

    def end_sessions(self, key: str) -> None:
        """End all sessions of a key."""
        for session, owner in tuple(self._session_owners.items()):
            if owner and owner["client_id"] == key:
                self._end_session(session)

    def _make_room(self, sessions: list[str]) -> None:
        """End the one of these that has been idle the longest: its time would be over first."""
        idle = [(_get_idle_deadline(self._server_instances[session]), session) for session in sessions]
        end, session = min(idle)
        if end == float("inf"):
            raise _too_many_problem()
        self._end_session(session)

    def _end_session(self, session: str) -> None:
        transport = self._server_instances.pop(session, None)
        self._session_owners.pop(session, None)
        if transport:
            assert self._task_group
            self._task_group.start_soon(transport.terminate)


def _too_many_problem() -> Problem:
    message = "There are as many sessions as there may be, and all are in use. End some, or try again in a moment."
    return Problem(503, "too_many_sessions", message, retry_after=5, retryable=True)


def _get_idle_deadline(transport: StreamableHTTPServerTransport) -> float:
    """When a session ends if nobody asks for anything; never as long as a request is under way."""
    return transport.idle_scope.deadline if transport.idle_scope else float("inf")


class McpSessions:
    """Mutable: those that there are."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    @property
    def count(self) -> int:
        """How many there are."""
        return self._manager.count

    def end_sessions(self, key: str) -> None:
        """End all sessions of a key."""
        self._manager.end_sessions(key)

    async def handle(self, scope: Scope, key: str, receive: Any, send: Any, *, opens: bool) -> None:
        """One HTTP request of the protocol's. key: whose. opens: it may begin a session. Raises Problem (400, 503)."""
        headers = Headers.from_scope(scope)
        legacy = headers.get("mcp-protocol-version", HANDSHAKE_PROTOCOL_VERSIONS[0]) in HANDSHAKE_PROTOCOL_VERSIONS
        if legacy and not opens and "mcp-session-id" not in headers:
            message = "Begin with `initialize`, and send the Mcp-Session-Id of its answer with what comes after it."
            raise Problem(400, "no_session", message)
        inner: Any = dict(scope)
        inner["user"] = AuthenticatedUser(AccessToken(token="", client_id=key, scopes=[]))
        await self._manager.handle_request(inner, receive, send)


@asynccontextmanager
async def open_sessions(
    agent_services: AgentServices, version: str, *, idle_timeout: float, max_sessions: int
) -> AsyncGenerator[McpSessions]:
    """Sessions that end with this block. idle, most: as in `Mcp`."""
    manager = SessionManager(
        McpHandlers(agent_services, version).server,
        session_idle_timeout=idle_timeout,
        max_sessions=max_sessions,
        max_request_body_size=request_body.MAX_BODY_BYTES,
    )
    async with manager.run():
        yield McpSessions(manager)
