"""`claude-api-server mcp`: the running server's /mcp for programs that only start programs, over stdin and stdout.

Law: every message goes through as it is, either way; what is written to stdout is the protocol and nothing else. It ends
when its stdin does.
"""

import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import anyio
import click
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.server.stdio import stdio_server
from mcp.shared.inbound import encode_header_value
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import PROTOCOL_VERSION_META_KEY, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from cli import StartupError
from cli.running_server import RunningServer, find_server

# A call may work for as long as the server lets it; only to connect has a limit.
BRIDGE_TIMEOUT = httpx2.Timeout(None, connect=10)
# The parameter that goes into the header Mcp-Name, which 2026-07-28 asks for, by method.
NAME_PARAMETERS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


async def check_server(found: RunningServer, client: httpx2.AsyncClient) -> None:
    """The server answers, and takes the key. Raises CannotStart."""
    try:
        status = (await client.get("/v1/models", timeout=30)).status_code
    except httpx2.HTTPError as error:
        raise StartupError(f"No server answers at {found.url}. Start it with `make run`, or pass --url.") from error
    if status == 401:
        raise StartupError(f"The server at {found.url} does not take this key. Set API_SECRET_TOKEN to its own.")


async def relay_messages(found: RunningServer) -> None:
    """Carry messages until stdin ends. Raises CannotStart."""
    async with found.create_client(BRIDGE_TIMEOUT) as client:
        await check_server(found, client)
        async with (
            streamable_http_client(f"{found.url}/mcp", http_client=client) as (from_server, to_server),
            stdio_server() as (from_program, to_program),
            anyio.create_task_group() as group,
        ):
            stamp = HeaderBuilder()

            async def back() -> None:
                async for message in from_server:
                    if isinstance(message, Exception):
                        click.echo(f"The server's answer can't be read: {type(message).__name__}", err=True)
                        continue
                    stamp.record_response(message.message)
                    await to_program.send(SessionMessage(message.message))

            group.start_soon(back)
            async for message in from_program:
                if isinstance(message, Exception):
                    click.echo("A line on stdin is no message of the protocol.", err=True)
                    continue
                headers = stamp.build_headers(message.message)
                await to_server.send(SessionMessage(message.message, ClientMessageMetadata(headers=headers)))
            group.cancel_scope.cancel()


class HeaderBuilder:
    """What HTTP says in headers and stdio does not. Mutable: the version that both ends agreed on."""

    def __init__(self) -> None:
        self._version = ""
        self._initialize_id: object = None

    def build_headers(self, message: object) -> dict[str, str]:
        """The headers of a message to the server."""
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
        name = params.get(NAME_PARAMETERS.get(message.method, ""))
        return {**headers, **({"mcp-name": encode_header_value(name)} if isinstance(name, str) else {})}

    def record_response(self, message: object) -> None:
        """Note what the server agreed to."""
        if isinstance(message, JSONRPCResponse) and message.id == self._initialize_id:
            self._version = str(message.result.get("protocolVersion", ""))

    def _version_headers(self) -> dict[str, str]:
        return {"mcp-protocol-version": self._version} if self._version else {}


def run(environ: Mapping[str, str], folder: Path, url: str | None) -> None:
    """Carry messages until stdin ends. Raises CannotStart."""
    found = find_server(environ, folder, url)
    with unwrap_exception_group():
        anyio.run(relay_messages, found)


@contextlib.contextmanager
def unwrap_exception_group() -> Generator[None]:
    """What a task group wraps, taken out."""
    try:
        yield
    except* StartupError as problems:
        raise problems.exceptions[0] from None
