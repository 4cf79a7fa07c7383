"""`make run` with the real programs: each of them is killed while jobs run. Nothing is left, and service is back by itself."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.stack import API_KEY, REPOSITORY, find_free_port, is_alive, wait_until
from tests.support.timeouts import TEST_TIMEOUT

pytestmark = [pytest.mark.slow]

WATCHDOG = 4


class Server:
    """`claude-api-server up`, running. client: with the key."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx2.AsyncClient, port: int) -> None:
        self.process = process
        self.client = client
        # No other server's.
        self.command = ["sleep", f"100.{port}"]

    def program(self, *words: str) -> psutil.Process:
        """The program whose command line has these words."""
        [found] = [
            child
            for child in psutil.Process(self.process.pid).children()
            if all(word in child.cmdline() for word in words)
        ]
        return found

    def below(self) -> list[psutil.Process]:
        """Every process that it started, or that one of those did."""
        return psutil.Process(self.process.pid).children(recursive=True)

    async def ready(self) -> None:
        """Wait until all of it serves and has nothing to do."""
        health: Any = None

        async def is_ready() -> bool:
            nonlocal health
            with contextlib.suppress(httpx2.TransportError, ValueError):
                health = (await self.client.get("/health", timeout=2)).json()
                each = [*health["executors"], *health["tools"]]
                return len(each) == 2 and all(one["up"] and not one["running"] and not one["waiting"] for one in each)
            return False

        try:
            await wait_until(is_ready)
        except TimeoutError:
            print(health)
            raise

    async def chat(self) -> str:
        """An answer."""
        body = {"messages": [{"role": "user", "content": "Hello!"}]}
        return (await self.client.post("/v1/chat/completions", json=body)).json()["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server]:
    """Without any login: the offline model answers."""
    folder = tmp_path_factory.mktemp("up")
    port = find_free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PORT": str(port),
        "API_SECRET_TOKEN": API_KEY,
        "ALLOWED_COMMANDS": "sleep",
        "CLI_POOL_SIZE": "1",
        "WATCHDOG_TIMEOUT": str(WATCHDOG),
        "PYTHONPATH": str(REPOSITORY),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "up"), cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {API_KEY}"}, timeout=TEST_TIMEOUT
        ) as client:
            made = Server(process, client, port)
            # Before it says so, a part that dies ends it: then something is wrong with how it is set up.
            await wait_until(lambda: "Claude API Server is ready" in (folder / "log").read_text(encoding="utf-8"))
            await made.ready()
            yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.wait()
        print((folder / "log").read_text(encoding="utf-8"))


@contextlib.asynccontextmanager
async def at_work(server: Server) -> AsyncGenerator[None]:
    """A command that would run for long, a stream and an answer in the background are under way."""
    await server.ready()
    body = {"messages": [{"role": "user", "content": "Hello! " * 2000}], "stream": True}
    asks = [
        asyncio.create_task(server.client.post("/api/tools/bash", json={"command": " ".join(server.command)})),
        asyncio.create_task(server.client.post("/v1/chat/completions", json=body)),
        asyncio.create_task(server.client.post("/v1/responses", json={"input": "Hello!", "background": True})),
    ]
    await wait_until(lambda: sleeping(server))
    try:
        yield
    finally:
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)


def sleeping(server: Server) -> list[psutil.Process]:
    """The processes of the command."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == server.command and is_alive(process)
    ]


API, CLAUDE = ("api",), ("executor", "claude")


@pytest.mark.parametrize(
    ("part", "number"),
    [(API, signal.SIGKILL), (CLAUDE, signal.SIGKILL), (API, signal.SIGSTOP), (CLAUDE, signal.SIGSTOP)],
    ids=["the API is killed", "the claude executor is killed", "the API is stopped", "the claude executor is stopped"],
)
async def test_a_program_that_dies_is_restarted_and_leaves_nothing(
    server: Server, part: tuple[str, ...], number: signal.Signals
):
    """Its processes are gone, its places are given back, and the next request is answered."""
    async with at_work(server):
        program = server.program(*part)
        below = program.children(recursive=True)
        began = time.monotonic()
        program.send_signal(number)
        await wait_until(lambda: not is_alive(program))
        await wait_until(lambda: not any(map(is_alive, below)))
        if part == API:
            # The executors see that who asked is gone.
            await wait_until(lambda: not sleeping(server))
            await server.ready()
        answering = await server.chat() if part == API else None
        print(f"back after {time.monotonic() - began:.1f} s", answering)
    await wait_until(lambda: not sleeping(server))
    await server.ready()
    assert "Hello!" in await server.chat()
    assert server.program(*part).pid != program.pid


async def test_a_cli_that_dies_costs_one_answer(server: Server):
    """The next one is answered, and the process is gone."""
    await server.ready()
    [cli] = [one for one in server.program(*CLAUDE).children(recursive=True) if one.name() == "claude"][:1]
    cli.kill()
    await wait_until(lambda: not cli.is_running())
    assert "Hello!" in await server.chat()
    await server.ready()


def test_no_part_writes_a_core_file(server: Server):
    """Nor does what it starts."""
    for process in [psutil.Process(server.process.pid), *server.below()]:
        with contextlib.suppress(OSError):
            limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), process


async def test_when_all_is_killed_at_its_root_nothing_is_left(server: Server):
    """The kernel closes the pipe that all watch. It is the last test of this server."""
    async with at_work(server):
        below = server.below()
        server.process.kill()
        await server.process.wait()
        await wait_until(lambda: not any(map(is_alive, below)))
        assert not sleeping(server)
