"""The official MCP client, for tests: over HTTP with the key, in either era of the protocol."""

import contextlib
from collections.abc import AsyncGenerator, Mapping

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

PROTOCOL_MODES = ("legacy", "2026-07-28")


@contextlib.asynccontextmanager
async def connect_client(
    stack: Stack, mode: str = "auto", headers: Mapping[str, str] | None = None
) -> AsyncGenerator[Client]:
    """A client at /mcp. headers: another key than the owner's."""
    async with (
        httpx2.AsyncClient(headers=headers or stack.headers, timeout=TEST_TIMEOUT) as http,
        Client(streamable_http_client(f"{stack.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def get_text(result: object) -> str:
    """The text of a tool's result."""
    [content] = result.content  # pyright: ignore[reportAttributeAccessIssue]
    return content.text
