"""The sessions of /mcp, on the official implementation of streamable HTTP, which is loaded with the first request.

Invariants: a session belongs to the key that opened it, and ends after an idle timeout. At the limit, the session that has
been idle the longest is ended to make room; a key that has half of all sessions makes room among its own.
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


class McpSessions(StreamableHTTPSessionManager):
    """The SDK's session manager, with a share for each key and eviction. Mutable: the sessions.

    The SDK alone refuses new sessions at its limit, whichever keys opened the others.
    """

    @property
    def count(self) -> int:
        """The number of open sessions."""
        return len(self._server_instances)

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        """Opens a session; the SDK calls this under its lock. Raises Problem (503)."""
        assert self.max_sessions
        own = [session for session, owner in self._session_owners.items() if owner == requestor]
        if len(own) >= max(1, self.max_sessions // 2):
            self._make_room(own)
        elif self.count >= self.max_sessions:
            self._make_room(list(self._server_instances))
        return super()._admit_session(requestor)

    def end_sessions(self, key: str) -> None:
        """Ends all sessions of a key."""
        for session, owner in tuple(self._session_owners.items()):
            if owner and owner["client_id"] == key:
                self._end_session(session)

    def _make_room(self, sessions: list[str]) -> None:
        """Ends the session of these that has been idle the longest: its deadline is the first."""
        # A session has no deadline while a request is in progress.
        scopes = [(self._server_instances[session].idle_scope, session) for session in sessions]
        deadline, session = min((scope.deadline if scope else float("inf"), session) for scope, session in scopes)
        if deadline == float("inf"):
            message = "The maximum number of sessions is open, and all are in use. End some, or retry in a moment."
            raise Problem(503, "too_many_sessions", message, retry_after=5, retryable=True)
        self._end_session(session)

    def _end_session(self, session: str) -> None:
        transport = self._server_instances.pop(session, None)
        self._session_owners.pop(session, None)
        if transport:
            assert self._task_group
            self._task_group.start_soon(transport.terminate)

    async def handle(self, scope: Scope, key: str, receive: Any, send: Any, *, opens: bool) -> None:
        """Handles one HTTP request of a key. opens: it may open a session. Raises Problem (400, 503)."""
        headers = Headers.from_scope(scope)
        legacy = headers.get("mcp-protocol-version", HANDSHAKE_PROTOCOL_VERSIONS[0]) in HANDSHAKE_PROTOCOL_VERSIONS
        if legacy and not opens and "mcp-session-id" not in headers:
            message = "Send `initialize` first, then the Mcp-Session-Id of its answer with every later request."
            raise Problem(400, "no_session", message)
        inner: Any = dict(scope)
        inner["user"] = AuthenticatedUser(AccessToken(token="", client_id=key, scopes=[]))
        await self.handle_request(inner, receive, send)


@asynccontextmanager
async def open_sessions(
    agent_services: AgentServices, version: str, *, idle_timeout: float, max_sessions: int
) -> AsyncGenerator[McpSessions]:
    """Yields sessions that end with the block. idle_timeout, max_sessions: as in `McpEndpoint`."""
    sessions = McpSessions(
        McpHandlers(agent_services, version).server,
        session_idle_timeout=idle_timeout,
        max_sessions=max_sessions,
        max_request_body_size=request_body.MAX_BODY_BYTES,
    )
    async with sessions.run():
        yield sessions
