"""The sessions of /mcp: all that touches the official implementation of streamable HTTP, loaded when first asked for.

Law: a session belongs to the key that began it, and ends after a while without requests.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from litestar.types import Scope
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from api import body
from api.mcp.server import Door
from api.work.tasks import Workshop


class Sessions:
    """Mutable: those that there are."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        self._manager = manager

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._manager._server_instances)  # noqa: SLF001 # it has no name for others

    async def handle(self, scope: Scope, key: str, receive: Any, send: Any) -> None:
        """One HTTP request of the protocol's. key: whose."""
        inner: Any = dict(scope)
        inner["user"] = AuthenticatedUser(AccessToken(token="", client_id=key, scopes=[]))
        await self._manager.handle_request(inner, receive, send)


@asynccontextmanager
async def opened(shop: Workshop, version: str, *, idle: float, most: int) -> AsyncGenerator[Sessions]:
    """Sessions that end with this block. idle, most: as in `Mcp`."""
    manager = StreamableHTTPSessionManager(
        Door(shop, version).server,
        session_idle_timeout=idle,
        max_sessions=most,
        max_request_body_size=body.LARGEST,
    )
    async with manager.run():
        yield Sessions(manager)
