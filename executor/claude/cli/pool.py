"""CLI processes that wait for work, knowing nothing of it.

Law: a process serves one conversation and ends. Starting the next never keeps an answer waiting: one starts at a time,
and it yields the CPU until it is ready.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from executor.claude.cli.process import CliLost, CliProcess

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
PATIENCE = 2.0
# Starting a process holds this one up for some milliseconds: not while a conversation is being set up.
SETTLED = 0.3

type Start = Callable[[], Awaitable[CliProcess]]

log = structlog.get_logger()


class Parking:
    """Keeps `size` processes ready. Mutable: the ready ones, those being buried, and what went wrong last.

    made: how many became ready; making_seconds: what those took, together.
    """

    def __init__(
        self, start: Start, warm: Callable[[CliProcess], Awaitable[None]], size: int, settled: float = SETTLED
    ) -> None:
        self.size = size
        self.problem = ""
        self.made = 0
        self.making_seconds = 0.0
        self._settled = settled
        self._taken_at = float("-inf")
        self._start = start
        self._warm = warm
        self._ready: deque[CliProcess] = deque()
        self._graves: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Parking [{self.ready}/{self.size} ready]>"

    @property
    def ready(self) -> int:
        return len(self._ready)

    def open(self) -> None:
        """Begin to start processes."""
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End every process that is parked or being buried."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        while self._ready:
            self.bury(self._ready.popleft())
        while self._graves:
            await asyncio.wait(self._graves)

    async def take(self) -> tuple[CliProcess, bool]:
        """A process for one conversation, and whether it was parked. Raises CliLost."""
        self._taken_at = asyncio.get_running_loop().time()
        while self._ready:
            process = self._ready.popleft()
            self._wanted.set()
            if process.process.returncode is None:
                process.exited.remove_done_callback(self._gone)
                return process, True
            self.bury(process)
        return await self._start(), False

    def bury(self, process: CliProcess) -> None:
        """End a process now; its remains are removed in the background."""
        process.kill()
        grave = asyncio.create_task(process.bury())
        self._graves.add(grave)
        grave.add_done_callback(self._graves.discard)

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._wanted.clear()
            self._sweep()
            if self.ready >= self.size:
                await self._wanted.wait()
                continue
            loop = asyncio.get_running_loop()
            if (rest := self._taken_at + self._settled - loop.time()) > 0:
                await asyncio.sleep(rest)
                continue
            try:
                await self._park()
            except CliLost as error:
                if str(error) != self.problem:
                    log.error("no CLI process can be parked", reason=str(error))
                self.problem = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self.problem = ""
                pause = FIRST_PAUSE

    async def _park(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        process = await self._start()
        try:
            process.yield_cpu(19)
            # On a host that is always busy it would never be ready: after a while it takes its share.
            patience = asyncio.get_running_loop().call_later(PATIENCE, process.yield_cpu, 0)
            try:
                await self._warm(process)
            finally:
                patience.cancel()
            process.yield_cpu(0)
        except BaseException:
            self.bury(process)
            raise
        self.made += 1
        self.making_seconds += clock() - began
        process.exited.add_done_callback(self._gone)
        self._ready.append(process)

    def _gone(self, _exited: object) -> None:
        """A parked process ended by itself."""
        self._wanted.set()

    def _sweep(self) -> None:
        for process in [parked for parked in self._ready if parked.process.returncode is not None]:
            self._ready.remove(process)
            log.warning("a parked CLI process ended by itself", exit=process.process.returncode)
            self.bury(process)
