"""Waits until the programs are ready, and asks the API for its health. No wait gives up: the caller sets the time."""

import asyncio
import contextlib
from pathlib import Path

import httpx2
import msgspec
from msgspec import Struct

from cli.up.preflight import Address
from shared.tool_jobs import ToolsStatus
from shared.wire import WireError, fetch_status

POLL_INTERVAL = 0.2
PROBLEMS_TIMEOUT = 2.0


class ExecutorHealth(Struct, frozen=True):
    """An executor in `GET /health`."""

    name: str = ""
    up: bool = True
    problem: str = ""


class Health(Struct, frozen=True):
    """The parts of `GET /health` that the banner and the doctor show."""

    status: str = ""
    mode: str = "unknown"
    cli_version: str | None = None
    default_model: str = "sonnet"
    executors: tuple[ExecutorHealth, ...] = ()
    tools: tuple[ExecutorHealth, ...] = ()
    problems: tuple[str, ...] = ()


async def wait_until_accepting(path: Path) -> None:
    """Waits until a program accepts connections at this socket."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.close()
            return
        await asyncio.sleep(POLL_INTERVAL)


async def wait_until_healthy(address: Address) -> Health:
    """Waits until `GET /health/ready` answers 200; returns `GET /health`."""
    async with create_client(address) as client:
        while True:
            # The API refuses connections until it listens.
            with contextlib.suppress(httpx2.HTTPError, msgspec.DecodeError):
                if (await client.get("/health/ready")).status_code == 200:
                    return msgspec.json.decode((await client.get("/health")).content, type=Health)
            await asyncio.sleep(POLL_INTERVAL)


async def wait_for_tools(path: Path) -> ToolsStatus:
    """Waits until the tools executor reports its status; returns it."""
    while True:
        with contextlib.suppress(OSError, WireError):
            status = await fetch_status(path)
            if isinstance(status, ToolsStatus):
                return status
        await asyncio.sleep(POLL_INTERVAL)


async def fetch_problems(address: Address) -> str:
    """Returns the problems that the executors report, as the end of a sentence; empty when the API does not answer."""
    health = await fetch_json(address, "/health", Health, PROBLEMS_TIMEOUT)
    return "".join(f": {executor.problem}" for executor in health.executors if executor.problem) if health else ""


async def fetch_json[T](address: Address, path: str, kind: type[T], timeout: float) -> T | None:  # noqa: ASYNC109 # in seconds
    """Returns the answer at this address; None if there is none, or if it is not this server's."""
    try:
        async with asyncio.timeout(timeout), create_client(address) as client:
            return msgspec.json.decode((await client.get(path)).content, type=kind)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, msgspec.DecodeError):
        return None


def create_client(address: Address) -> httpx2.AsyncClient:
    """Returns an HTTP client for the API at this address. It ignores the proxy settings and has no timeout."""
    return httpx2.AsyncClient(base_url=address.url(), timeout=None, trust_env=False)
