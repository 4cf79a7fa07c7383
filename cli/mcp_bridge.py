"""`claude-api-server mcp`: relays MCP messages between stdin and stdout and the running server's /mcp.

Invariants: it changes no message. Only messages of the protocol are written to stdout. It ends when stdin ends.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import click
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.server.stdio import stdio_server
from mcp.shared.inbound import NAME_BEARING_METHODS, encode_header_value
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import PROTOCOL_VERSION_META_KEY, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from cli import StartupError
from cli.running_server import RunningServer, find_server

# The server limits the time of a call; here only the connection has a timeout.
BRIDGE_TIMEOUT = httpx2.Timeout(None, connect=10)


async def check_server(found: RunningServer, client: httpx2.AsyncClient) -> None:
    """Checks that the server answers and accepts the key. Raises StartupError."""
    try:
        status = (await client.get("/v1/models", timeout=30)).status_code
    except httpx2.HTTPError as error:
        raise StartupError(f"No server answers at {found.url}. Start it with `make run`, or pass --url.") from error
    if status == 401:
        raise StartupError(f"The server at {found.url} rejects this key. Set API_SECRET_TOKEN to the server's key.")


async def relay_messages(found: RunningServer) -> None:
    """Relays messages until stdin ends. Raises StartupError."""
    async with found.create_client(BRIDGE_TIMEOUT) as client:
        await check_server(found, client)
        async with (
            streamable_http_client(f"{found.url}/mcp", http_client=client) as (from_server, to_server),
            stdio_server() as (from_program, to_program),
            anyio.create_task_group() as group,
        ):
            header_builder = HeaderBuilder()

            async def relay_answers() -> None:
                async for message in from_server:
                    if isinstance(message, Exception):
                        click.echo(f"The server's answer can't be read: {type(message).__name__}", err=True)
                        continue
                    header_builder.record_response(message.message)
                    await to_program.send(SessionMessage(message.message))

            group.start_soon(relay_answers)
            async for message in from_program:
                if isinstance(message, Exception):
                    click.echo("A line on stdin is not a message of the protocol.", err=True)
                    continue
                headers = header_builder.build_headers(message.message)
                await to_server.send(SessionMessage(message.message, ClientMessageMetadata(headers=headers)))
            group.cancel_scope.cancel()


class HeaderBuilder:
    """Builds the headers that MCP over HTTP requires and stdio does not have. Mutable: the negotiated protocol version."""

    def __init__(self) -> None:
        self._version = ""
        self._initialize_id: object = None

    def build_headers(self, message: object) -> dict[str, str]:
        """Returns the headers of a message to the server."""
        if not isinstance(message, JSONRPCRequest | JSONRPCNotification):
            return self._version_headers()
        params: Mapping[str, Any] = message.params or {}
        if message.method == "initialize" and isinstance(message, JSONRPCRequest):
            self._initialize_id = message.id
            return {}
        meta: Mapping[str, Any] = params.get("_meta") or {}
        version = meta.get(PROTOCOL_VERSION_META_KEY)
        if not isinstance(version, str):
            return self._version_headers()
        headers = {"mcp-protocol-version": version, "mcp-method": message.method}
        name = params.get(NAME_BEARING_METHODS.get(message.method, ""))
        return {**headers, **({"mcp-name": encode_header_value(name)} if isinstance(name, str) else {})}

    def record_response(self, message: object) -> None:
        """Records the protocol version in the server's answer to `initialize`."""
        if isinstance(message, JSONRPCResponse) and message.id == self._initialize_id:
            self._version = str(message.result.get("protocolVersion", ""))

    def _version_headers(self) -> dict[str, str]:
        return {"mcp-protocol-version": self._version} if self._version else {}


def run(environ: Mapping[str, str], folder: Path, url: str | None) -> None:
    """Relays messages until stdin ends. Raises StartupError."""
    found = find_server(environ, folder, url)
    try:
        anyio.run(relay_messages, found)
    except* StartupError as problems:
        # A task group has wrapped it.
        raise problems.exceptions[0] from None
