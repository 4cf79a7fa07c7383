"""The real programs, for tests: an API and executors as processes of their own, over the real CLI and a scripted service.

Invariants: everything is private to one stack (folder, socket, port, HOME), and nothing of it outlives the `async with`.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx2
import openai
import psutil

from tests.support.stall_alarm import ALARM
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.worker import tools_user

REPOSITORY = Path(__file__).parents[2]
API_KEY = "sk-tests-0f1e2d3c4b5a6978"


class Program:
    """One of our programs, running. Mutable: the process, which can be restarted."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environment = dict(environment)
        self.log = log
        self.process: asyncio.subprocess.Process | None = None
        self._output: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    async def start(self) -> None:
        self._output = self.log.open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._arguments, env=self._environment, cwd=REPOSITORY, stderr=self._output
        )

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = TEST_TIMEOUT) -> int:
        """Send a signal and wait for the end; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(number)
        return await self.wait_for_exit(timeout)

    async def wait_for_exit(self, timeout: float = TEST_TIMEOUT) -> int:
        """Wait for the end; the exit status. Raises TimeoutError."""
        assert self.process
        assert self._output
        try:
            async with asyncio.timeout(timeout):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise
        finally:
            self._output.close()

    def list_clis(self) -> list[psutil.Process]:
        """The CLI processes under this program."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


class Stack:
    """An API and some executors. Mutable: the programs.

    credential: the executors' (None: an API key). api_settings: what only the API has in its environment.
    executor_module: another program in the executor's place. wait_ready: False takes executors that can't answer.
    tools: what a tools executor has in its environment; None runs none. Its folders are `files` and `work`.
    readable: more paths that it may read. tools_module: another program in its place.
    """

    def __init__(
        self,
        upstream_url: str | None,
        *,
        executors: int = 1,
        pool_size: int = 1,
        settings: Mapping[str, str] | None = None,
        credential: Mapping[str, str] | None = None,
        api_settings: Mapping[str, str] | None = None,
        executor_module: str = "executor",
        wait_ready: bool = True,
        tools: Mapping[str, str] | None = None,
        readable: tuple[str, ...] = (),
        tools_module: str = "executor",
    ) -> None:
        self._upstream_url = upstream_url
        self._count = executors
        self._pool_size = pool_size
        self._settings = dict(settings or {})
        self._credential = {"ANTHROPIC_API_KEY": "sk-ant-invented"} if credential is None else dict(credential)
        self._executor_module = executor_module
        self._wait_ready = wait_ready
        self.folder = Path(tempfile.mkdtemp(prefix="cas-"))
        self.run_dir = self.folder / "run"
        self._tools_module = tools_module
        self.tools = self._tools(tools, readable) if tools is not None else None
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = API_KEY
        self.headers = {"authorization": f"Bearer {API_KEY}"}
        self.executors: list[Program] = []
        own = {"API_SECRET_TOKEN": API_KEY, "HOST": "127.0.0.1", "PORT": str(self.port), **(api_settings or {})}
        self.api = self._program("api", ["tests.support.stall_alarm"], own)
        self.client = httpx2.AsyncClient(base_url=self.url, headers=self.headers, timeout=TEST_TIMEOUT)
        self.openai = openai.AsyncOpenAI(
            base_url=f"{self.url}/v1", api_key=API_KEY, max_retries=0, timeout=TEST_TIMEOUT
        )

    def _program(self, name: str, arguments: list[str], extra: Mapping[str, str]) -> Program:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RUN_DIR": str(self.run_dir),
            "DATA_DIR": str(self.folder / "data"),
            "LOG_LEVEL": "debug",
            "PYTHONWARNINGS": "error",
            # However slow the machine is, who waits for a place gets one.
            "QUEUE_TIMEOUT": "600",
            # Enough to continue conversations; the default depends on the machine's memory.
            "HELD_MAX": "2",
            **self._settings,
            **extra,
        }
        return Program(arguments, environment, self.folder / f"{name}.log")

    def build_executor(self, number: int) -> Program:
        """An executor, not yet started."""
        upstream = {"ANTHROPIC_BASE_URL": self._upstream_url} if self._upstream_url else {}
        extra = {"CLI_POOL_SIZE": str(self._pool_size), **self._settings, **self._credential, **upstream}
        name = f"claude-{number}"
        return self._program(name, [self._executor_module, "--role", "claude", "--name", name], extra)

    def _tools(self, tools: Mapping[str, str], readable: tuple[str, ...]) -> Program:
        self.folder.chmod(0o755)
        self.files, self.work = self.folder / "files", self.folder / "work"
        self.files.mkdir()
        self.work.mkdir()
        self.work.chmod(0o777)
        paths = {
            "TOOLS_USER": tools_user(),
            "ALLOWED_PATHS": ",".join([str(self.files), *readable]),
            "WRITABLE_PATHS": str(self.work),
        }
        return self._program(
            "tools-1", [self._tools_module, "--role", "tools", "--name", "tools-1"], {**paths, **tools}
        )

    async def __aenter__(self) -> Self:
        self.executors = [self.build_executor(number + 1) for number in range(self._count)]
        try:
            for program in self.programs():
                await program.start()
            await self.wait_until_ready()
        except BaseException:
            print(self.read_logs())
            await self._end()
            raise
        return self

    def programs(self) -> list[Program]:
        return [*self.executors, *([self.tools] if self.tools else []), self.api]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            print(self.read_logs())
        stalls = await self._end()
        if stalls and not error:
            raise RuntimeError(f"a callback held the API's event loop too long:\n{stalls}")

    async def _end(self) -> str:
        """Stop the programs; what the API's log has from the first stall on."""
        await self.client.aclose()
        await self.openai.close()
        for program in reversed(self.programs()):
            if program.process and program.process.returncode is None:
                await program.stop()
        log = self.api.log.read_text(errors="replace") if self.api.log.exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        _, alarm, stalls = log.partition(ALARM)
        return (alarm + stalls)[:20_000]

    async def wait_until_ready(self) -> None:
        """Wait until every executor is up and its pool is full."""

        async def is_ready() -> bool:
            for program in self.programs():
                assert program.process
                if program.process.returncode is not None:
                    raise RuntimeError(f"a program ended early:\n{self.read_logs()}")
            health = await self.fetch_health()
            executors = health["executors"] if health else []
            ready = [
                e for e in executors if not self._wait_ready or (e["up"] and e["idle_processes"] >= self._pool_size)
            ]
            tools = [each for each in health["tools"] if each["up"] or not self._wait_ready] if health else []
            return health is not None and len(ready) == self._count and len(tools) == bool(self.tools)

        await wait_until(is_ready)

    async def fetch_health(self) -> dict[str, Any] | None:
        try:
            return (await self.client.get("/health")).json()
        except httpx2.TransportError:
            return None

    def list_clis(self) -> list[psutil.Process]:
        """The CLI processes of every executor."""
        return [cli for program in self.executors if program.process for cli in program.list_clis()]

    async def find_idle_cli(self) -> psutil.Process:
        """The CLI process that waits for the next job, where the pool has only one. Those that are held are ended."""
        await self.end_held()
        await self.wait_until_idle()
        [cli] = self.list_clis()
        return cli

    async def end_held(self) -> int:
        """Ends the CLI processes that hold a conversation. Returns how many."""
        response = await self.client.delete("/api/held")
        return response.raise_for_status().json()["ended"]

    def read_logs(self) -> str:
        """Every log, but for the lines that waiting makes."""
        lines: list[str] = []
        for path in sorted(self.folder.glob("*.log")):
            lines.append(f"--- {path.name}")
            lines.extend(line for line in path.read_text().splitlines() if "path=/health " not in line)
        return "\n".join(lines)

    async def wait_until_quiet(self, timeout: float = TEST_TIMEOUT) -> None:
        """Wait until no job runs or waits."""

        async def is_quiet() -> bool:
            health = await self.fetch_health()
            return bool(health and all(not e["running"] and not e["waiting"] for e in health["executors"]))

        try:
            await wait_until(is_quiet, timeout)
        except TimeoutError:
            raise TimeoutError(f"a job still runs; the end of the logs:\n{self.read_logs()[-20_000:]}") from None

    async def wait_until_idle(self, timeout: float = TEST_TIMEOUT) -> None:
        """Wait until no job runs or waits, and only idle and held CLI processes are left."""

        async def is_idle() -> bool:
            health = await self.fetch_health()
            return bool(
                health
                and all(not e["running"] and not e["waiting"] for e in health["executors"])
                and len(self.list_clis())
                == self._pool_size * len(self.executors) + sum(e["held_processes"] for e in health["executors"])
                and all(e["idle_processes"] == self._pool_size for e in health["executors"])
            )

        await wait_until(is_idle, timeout)


def count_descriptors(stack: Stack, process: psutil.Process) -> int:
    """How many files and sockets a program has open.

    But for those of the database, whose pool opens a second connection when two things are to be done at once.
    """
    database = str(stack.folder / "data" / "server.db")
    return process.num_fds() - sum(file.path.startswith(database) for file in process.open_files())


def list_group(leader: int) -> list[int]:
    """The processes of a process group, but for those that only wait to be reaped."""
    members: list[int] = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
    return members


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that only waits to be reaped does not, nor one that ends at this moment."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_if_running(process: psutil.Process) -> None:
    """Kills a process, which may have ended at this moment."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


async def wait_until(condition: Callable[[], object], timeout: float = TEST_TIMEOUT) -> None:
    """Wait for a condition of another process, which can only be polled. Raises TimeoutError.

    The interval grows with the time that was waited, so that polling takes little of the processors.
    """
    interval = 0.01
    async with asyncio.timeout(timeout):
        while True:
            result = condition()
            if await result if asyncio.iscoroutine(result) else result:
                return
            await asyncio.sleep(interval)
            interval = min(1.2 * interval, 0.2)


def find_free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
