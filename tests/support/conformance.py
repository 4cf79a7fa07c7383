"""The official conformance suite of MCP (npm, `@modelcontextprotocol/conformance`), and a way in for it, which knows no keys."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.support import node
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

PACKAGE = "@modelcontextprotocol/conformance"
PACKAGES = node.Packages("conformance", (f"{PACKAGE}@0.1.16",))
SUITE = PACKAGES.folder / "node_modules" / PACKAGE / "dist/index.js"


async def install_suite() -> str:
    """Install the suite; why it can't be run, if it can't."""
    return await PACKAGES.install()


async def run_scenario(name: str, url: str, folder: Path) -> tuple[int, str]:
    """Run one scenario against a server; its exit status and what it wrote."""
    command = (node.NODE, str(SUITE), "server", "--url", url, "--scenario", name, "-o", str(folder))
    return await node.run(*command, timeout=TEST_TIMEOUT, cwd=folder)


async def list_scenarios() -> set[str]:
    """The names of all scenarios for servers."""
    _, listed = await node.run(node.NODE, str(SUITE), "list", "--server", timeout=TEST_TIMEOUT, cwd=PACKAGES.folder)
    return set(re.findall(r"^\s+- ([\w-]+)", listed, re.MULTILINE))


@contextlib.asynccontextmanager
async def add_key_proxy(stack: Stack) -> AsyncGenerator[str]:
    """An address that adds the key to each request and leaves all else as it is; it ends with the block."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            rest = re.sub(rb"(?im)^connection:.*\r\n", b"", rest)
            there, here = await asyncio.open_connection("127.0.0.1", stack.port)
            here.write(b"%b\r\nAuthorization: Bearer %b\r\nConnection: close\r\n%b" % (line, stack.key.encode(), rest))
            up = asyncio.create_task(pass_on(reader, here))
            down = asyncio.create_task(pass_on(there, writer))
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done():
                # The client has gone, or said all and waits for the rest.
                here.close()
            await asyncio.gather(down, return_exceptions=True)
            up.cancel()
            here.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
