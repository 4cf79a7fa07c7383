"""Runs the programs and looks after them.

Law: in whatever way this process ends, none of the programs goes on. It ends them itself, by SIGTERM and, after a grace
period, SIGKILL to all of their process groups; and should it be killed, the pipe whose other end all of them watch
(`--parent-fd`) is closed by the kernel. A program that dies is started again, and one that gives no sign of life for as
long as the watchdog's time is killed; only an API that can't use its settings ends everything.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any

from msgspec import Struct

from cli import CannotStart
from cli.up.child_watchdog import SignsOfLife

# The exit status of a program that can't use a setting.
UNUSABLE_SETTINGS = 2
# How often it is looked whether a program stands still.
LOOK = 0.5

type Say = Callable[[str], None]


class Program(Struct, frozen=True):
    """What to start. name: what it is called in a sentence; `--parent-fd N` is added to argv."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str]

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


class Patience(Struct, frozen=True):
    """In seconds. grace: to end; first and longest: pauses before a new start; steady: a life that forgets past ones.

    stalled: without a sign of life from a program that gave one; 0 waits for ever.
    """

    grace: float = 4
    first: float = 1
    longest: float = 30
    steady: float = 60
    stalled: float = 30


class Child:
    """A program that was started. `exited` is done with its exit status when it ended. Mutable: nothing is left of it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.born = asyncio.get_running_loop().time()
        self.exited = asyncio.create_task(process.wait())
        self._gone = False

    @classmethod
    async def start(cls, program: Program, parent_fd: int, told: Mapping[str, str]) -> "Child":
        """Start it, in a session of its own: Ctrl-C in the terminal is not for it. told: where its signs of life go."""
        process = await asyncio.create_subprocess_exec(
            *(*program.argv, "--parent-fd", str(parent_fd)),
            env={**program.environment, **told},
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(parent_fd,),
            start_new_session=True,
        )
        return cls(program.name, process)

    def age(self) -> float:
        """Seconds since its start."""
        return asyncio.get_running_loop().time() - self.born

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """End all of its process group, also what is left of it after its own end."""
        if self._gone:
            return
        # Once more after its end at most: later the number may be another's.
        self._gone = self.exited.done()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill_stalled(self) -> None:
        """End a program that stands still, as it is: it may be stopped, so nothing gentler would do."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def last_words(self) -> str:
        """How it ended."""
        status = self.exited.result()
        return f"with exit code {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


class Supervisor:
    """Mutable: the programs running, and whether an end was asked for, and asked for twice."""

    def __init__(
        self, executor: Program, api: Program, say: Say, patience: Patience | None = None, *others: Program
    ) -> None:
        """others: more executors."""
        self._programs = (api, executor, *others)
        self._say = say
        self._patience = patience or Patience()
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._signs = SignsOfLife(self._patience.stalled)

    async def run(self, until_ready: Callable[[], Coroutine[Any, Any, None]]) -> int:
        """Start, wait until ready, keep running; the exit status: 0 when asked to end, 1 when a program could not go on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP, and means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._asked_to_end, number)
        reading, writing = os.pipe()
        try:
            for program in self._programs:
                self._children.append(await Child.start(program, reading, self._signs.environment()))
            if not await self._started(until_ready):
                return 1
            return await self._kept(reading)
        finally:
            await self._end()
            self._signs.close()
            os.close(writing)
            os.close(reading)

    def _asked_to_end(self, number: int) -> None:
        # SIGTERM may come twice, from make and to the group; only a person presses Ctrl-C again.
        if self._stop.is_set() and number == signal.SIGINT:
            self._hurry.set()
        elif not self._stop.is_set():
            self._stop.set()
            self._say("Stopping …")

    async def _started(self, until_ready: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Wait for readiness, an early death, or to be asked to end; False when the start failed."""
        async with _cancelled(until_ready()) as ready, _cancelled(self._stop.wait()) as stop:
            await _first(ready, stop, *(child.exited for child in self._children))
        if self._stop.is_set():
            return True
        if ready.cancelled():
            ended = next(child for child in self._children if child.exited.done())
            self._say(f"The {ended.name} ended {ended.last_words()} before it was ready; the lines above say why.")
            return False
        try:
            ready.result()
        except CannotStart as problem:
            self._say(str(problem))
            return False
        return True

    async def _kept(self, parent_fd: int) -> int:
        """Keep all running until asked to end; 1 when the API can't go on."""
        async with (
            _cancelled(self._keep_programs(parent_fd)) as keeping,
            _cancelled(self._kill_stalled()) as watching,
            _cancelled(self._stop.wait()) as stop,
        ):
            await _first(keeping, watching, stop)
        if self._stop.is_set():
            return 0
        for task in (keeping, watching):
            if task.done() and not task.cancelled():
                task.result()
        api = self._children[0]
        self._say(f"The {api.name} ended {api.last_words()}, so everything ends.")
        return 1

    async def _keep_programs(self, parent_fd: int) -> None:
        """Start again what ends; returns when the API can't use its settings."""
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._keep_program(index, parent_fd)) for index in range(1, len(self._programs))
            ]
            await self._keep_program(0, parent_fd)
            for other in others:
                other.cancel()

    async def _keep_program(self, index: int, parent_fd: int) -> None:
        pause = self._patience.first
        while True:
            child = self._children[index]
            await _first(child.exited)
            child.kill()
            if index == 0 and child.exited.result() == UNUSABLE_SETTINGS:
                return
            if child.age() >= self._patience.steady:
                pause = self._patience.first
            self._say(f"The {child.name} ended {child.last_words()}; it is started again in {pause:g} s.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.longest)
            self._children[index] = await Child.start(self._programs[index], parent_fd, self._signs.environment())

    async def _kill_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(LOOK)
            # Who was stopped itself has not heard what was told meanwhile.
            late, looked = loop.time() - looked > 2 * LOOK, loop.time()
            for child in self._children:
                if not late and not child.exited.done() and self._signs.stalled(child.process.pid):
                    self._say(f"The {child.name} stood still for {self._patience.stalled:g} s, so it is ended.")
                    child.kill_stalled()

    async def _end(self) -> None:
        """End what runs, gently at first. From here on one Ctrl-C is enough to hurry."""
        self._stop.set()
        try:
            for child in self._children:
                child.terminate()
            gone = asyncio.gather(*(child.exited for child in self._children))
            async with _cancelled(self._hurry.wait()) as hurry:
                await asyncio.wait({gone, hurry}, timeout=self._patience.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for child in self._children:
                child.kill()
        await gone


@contextlib.asynccontextmanager
async def _cancelled[T](work: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """The work as a task that is over when the block is left: cancelled, unless it is done by then."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one is done; being cancelled here cancels none of them."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
