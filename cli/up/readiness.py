"""Waits for the two programs and asks the API how it is. Never gives up by itself: the caller sets the time."""

import asyncio
import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct

from cli.up.preflight import Address
from shared.tool_jobs import ToolsStatus
from shared.wire import WireError, fetch_status

POLL_INTERVAL = 0.2
PROBLEMS_TIMEOUT = 2.0


class ExecutorHealth(Struct, frozen=True):
    """One of the executors in `GET /health`."""

    name: str = ""
    problem: str = ""


class Health(Struct, frozen=True):
    """What the banner needs of `GET /health`."""

    mode: str = "unknown"
    cli_version: str | None = None
    default_model: str = "sonnet"
    executors: tuple[ExecutorHealth, ...] = ()


async def wait_until_accepting(path: Path) -> None:
    """Return once something accepts connections at this socket."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.close()
            return
        await asyncio.sleep(POLL_INTERVAL)


async def wait_until_healthy(where: Address) -> Health:
    """Return once `GET /health/ready` is 200: what `GET /health` says then."""
    while True:
        # Until it listens it refuses connections; what is no answer yet is asked for again.
        with contextlib.suppress(OSError, ValueError, IndexError):
            status, _ = await fetch(where, "/health/ready")
            if status == 200:
                _, body = await fetch(where, "/health")
                return _parse_health(body)
        await asyncio.sleep(POLL_INTERVAL)


async def wait_for_tools(path: Path) -> ToolsStatus:
    """What the tools executor says of itself, once it does."""
    while True:
        with contextlib.suppress(OSError, WireError):
            answer = await fetch_status(str(path))
            if isinstance(answer, ToolsStatus):
                return answer
        await asyncio.sleep(POLL_INTERVAL)


async def fetch_problems(where: Address) -> str:
    """What the executors say is wrong, to end a sentence with; nothing when there is no answer."""
    try:
        async with asyncio.timeout(PROBLEMS_TIMEOUT):
            _, body = await fetch(where, "/health")
            said = [executor.problem for executor in _parse_health(body).executors]
    except (OSError, ValueError, IndexError, TimeoutError):
        return ""
    return "".join(f": {problem}" for problem in said if problem)


async def fetch(where: Address, path: str) -> tuple[int, bytes]:
    """The status and the body. Direct, whatever proxy is set."""
    reader, writer = await asyncio.open_connection(where.to_connect_host(), where.port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {where.url().removeprefix('http://')}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), body


def _parse_health(body: bytes) -> Health:
    try:
        return msgspec.json.decode(body, type=Health)
    except msgspec.DecodeError:
        return Health()
