"""The official conformance suite of MCP (npm, `@modelcontextprotocol/conformance`), and a way in for it, which knows no keys.

Law: what it installs is in a cache folder outside of this repository; where that can't be had, the test is skipped and says
why.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

from tests.stack import Stack

PACKAGES = ("@modelcontextprotocol/conformance@0.1.16", "node@22")
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claude-api-server-conformance"
NODE = FOLDER / "node_modules/node/bin/node"
SUITE = FOLDER / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
INSTALL_TIMEOUT = 120
RUN_TIMEOUT = 60


async def run(*command: str, timeout: float, cwd: Path) -> tuple[int, str]:
    """A command's exit status and what it wrote. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode()


async def lacking() -> str:
    """Install the suite; why it can't be run, if it can't."""
    if NODE.exists() and SUITE.exists():
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = (npm, "install", "--no-audit", "--no-fund", "--prefix", str(FOLDER), *PACKAGES)
    try:
        status, said = await run(*command, timeout=INSTALL_TIMEOUT, cwd=FOLDER)
    except TimeoutError:
        return "npm did not install it in time"
    return "" if status == 0 and NODE.exists() and SUITE.exists() else f"npm could not install it: {said[-300:]}"


async def scenario(name: str, url: str, folder: Path) -> tuple[int, str]:
    """Run one scenario against a server; its exit status and what it wrote."""
    command = (str(NODE), str(SUITE), "server", "--url", url, "--scenario", name, "-o", str(folder))
    return await run(*command, timeout=RUN_TIMEOUT, cwd=folder)


async def scenarios() -> set[str]:
    """The names of all scenarios for servers."""
    _, listed = await run(str(NODE), str(SUITE), "list", "--server", timeout=RUN_TIMEOUT, cwd=FOLDER)
    return set(re.findall(r"^\s+- ([\w-]+)", listed, re.MULTILINE))


@contextlib.asynccontextmanager
async def way_in(stack: Stack) -> AsyncGenerator[str]:
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
