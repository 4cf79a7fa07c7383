"""The pool of idle CLI processes: starting the CLI takes about 0.5 s, so the executor keeps some ready.

Invariants: an idle process holds no request data; it serves one conversation and exits. Starting a process never delays an
answer: one starts at a time, at low priority until it is ready.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from executor.claude.cli.process import CliCrashed, CliProcess

INITIAL_RETRY_DELAY = 0.5
MAX_RETRY_DELAY = 30.0
LOW_PRIORITY_TIMEOUT = 2.0
# Starting a process blocks this one for some milliseconds, so it waits until a conversation is set up.
START_DELAY_AFTER_TAKE = 0.3

type StartProcess = Callable[[], Awaitable[CliProcess]]

log = structlog.get_logger()


class ProcessPool:
    """Keeps `size` processes idle. Mutable: the idle and the discarded processes, and the last problem.

    started: how many processes became ready. start_seconds: how long they took, together.
    """

    def __init__(
        self,
        start: StartProcess,
        warm_up: Callable[[CliProcess], Awaitable[None]],
        size: int,
        start_delay: float = START_DELAY_AFTER_TAKE,
    ) -> None:
        self.size = size
        self.problem = ""
        self.started = 0
        self.start_seconds = 0.0
        self._start_delay = start_delay
        self._taken_at = float("-inf")
        self._start = start
        self._warm_up = warm_up
        self._idle: deque[CliProcess] = deque()
        self._discarding: set[asyncio.Task[None]] = set()
        self._refill_needed = asyncio.Event()
        self._refill_task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<ProcessPool [{self.idle}/{self.size} ready]>"

    @property
    def idle(self) -> int:
        return len(self._idle)

    def open(self) -> None:
        """Starts to fill the pool."""
        self._refill_task = asyncio.create_task(self._refill())

    async def close(self) -> None:
        """Ends every process, idle or discarded."""
        if self._refill_task:
            self._refill_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refill_task
        while self._idle:
            self.discard(self._idle.popleft())
        while self._discarding:
            await asyncio.wait(self._discarding)

    async def take(self) -> tuple[CliProcess, bool]:
        """Returns a process for one conversation, and whether it was pooled. Raises CliCrashed."""
        self._taken_at = asyncio.get_running_loop().time()
        while self._idle:
            process = self._idle.popleft()
            self._refill_needed.set()
            if process.process.returncode is None:
                process.exited.remove_done_callback(self._on_exit)
                return process, True
            self.discard(process)
        return await self._start(), False

    def discard(self, process: CliProcess) -> None:
        """Ends a process now; its folder is removed in the background."""
        process.kill()
        task = asyncio.create_task(process.clean_up())
        self._discarding.add(task)
        task.add_done_callback(self._discarding.discard)

    async def _refill(self) -> None:
        pause = INITIAL_RETRY_DELAY
        while True:
            self._refill_needed.clear()
            self._remove_exited()
            if self.idle >= self.size:
                await self._refill_needed.wait()
                continue
            loop = asyncio.get_running_loop()
            if (delay := self._taken_at + self._start_delay - loop.time()) > 0:
                await asyncio.sleep(delay)
                continue
            try:
                await self._start_idle()
            except CliCrashed as error:
                if str(error) != self.problem:
                    log.error("no CLI process can be pooled", reason=str(error))
                self.problem = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_RETRY_DELAY)
            else:
                self.problem = ""
                pause = INITIAL_RETRY_DELAY

    async def _start_idle(self) -> None:
        clock = asyncio.get_running_loop().time
        start = clock()
        process = await self._start()
        try:
            process.set_niceness(19)
            # On a host that is always busy, a process at low priority would never become ready.
            raise_priority = asyncio.get_running_loop().call_later(LOW_PRIORITY_TIMEOUT, process.set_niceness, 0)
            try:
                await self._warm_up(process)
            finally:
                raise_priority.cancel()
            process.set_niceness(0)
        except BaseException:
            self.discard(process)
            raise
        self.started += 1
        self.start_seconds += clock() - start
        process.exited.add_done_callback(self._on_exit)
        self._idle.append(process)

    def _on_exit(self, _exited: object) -> None:
        """An idle process ended by itself."""
        self._refill_needed.set()

    def _remove_exited(self) -> None:
        for process in [idle for idle in self._idle if idle.process.returncode is not None]:
            self._idle.remove(process)
            log.warning("an idle CLI process ended by itself", exit=process.process.returncode)
            self.discard(process)
