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

from cli import StartupError
from cli.up.child_watchdog import ChildWatchdog

# The exit status of a program that can't use a setting.
EXIT_UNUSABLE_SETTINGS = 2
# How often it is looked whether a program stands still.
STALL_CHECK_INTERVAL = 0.5

type PrintMessage = Callable[[str], None]


class Program(Struct, frozen=True):
    """What to start. name: what it is called in a sentence; `--parent-fd N` is added to argv."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str]

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


class SupervisorTimeouts(Struct, frozen=True):
    """In seconds. grace: to end; first and longest: pauses before a new start; steady: a life that forgets past ones.

    stalled: without a sign of life from a program that gave one; 0 waits for ever.
    """

    shutdown: float = 4
    first_restart_delay: float = 1
    max_restart_delay: float = 30
    stable_after: float = 60
    stall_timeout: float = 30


class Child:
    """A program that was started. `exited` is done with its exit status when it ended. Mutable: nothing is left of it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.started_at = asyncio.get_running_loop().time()
        self.exited = asyncio.create_task(process.wait())
        self._killed = False

    @classmethod
    async def start(cls, program: Program, parent_fd: int, watchdog_environment: Mapping[str, str]) -> "Child":
        """Start it, in a session of its own: Ctrl-C in the terminal is not for it. told: where its signs of life go."""
        process = await asyncio.create_subprocess_exec(
            *(*program.argv, "--parent-fd", str(parent_fd)),
            env={**program.environment, **watchdog_environment},
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(parent_fd,),
            start_new_session=True,
        )
        return cls(program.name, process)

    def age(self) -> float:
        """Seconds since its start."""
        return asyncio.get_running_loop().time() - self.started_at

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """End all of its process group, also what is left of it after its own end."""
        if self._killed:
            return
        # Once more after its end at most: later the number may be another's.
        self._killed = self.exited.done()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill_stalled(self) -> None:
        """End a program that stands still, as it is: it may be stopped, so nothing gentler would do."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def describe_exit(self) -> str:
        """How it ended."""
        status = self.exited.result()
        return f"with exit code {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


class Supervisor:
    """Mutable: the programs running, and whether an end was asked for, and asked for twice."""

    def __init__(
        self,
        executor: Program,
        api: Program,
        say: PrintMessage,
        patience: SupervisorTimeouts | None = None,
        *others: Program,
    ) -> None:
        """others: more executors."""
        self._programs = (api, executor, *others)
        self._print_message = say
        self._timeouts = patience or SupervisorTimeouts()
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._force_stop = asyncio.Event()
        self._watchdog = ChildWatchdog(self._timeouts.stall_timeout)

    async def run(self, until_ready: Callable[[], Coroutine[Any, Any, None]]) -> int:
        """Start, wait until ready, keep running; the exit status: 0 when asked to end, 1 when a program could not go on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP, and means it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._handle_signal, number)
        reading, writing = os.pipe()
        try:
            for program in self._programs:
                self._children.append(await Child.start(program, reading, self._watchdog.build_environment()))
            if not await self._wait_until_ready(until_ready):
                return 1
            return await self._run_until_stopped(reading)
        finally:
            await self._stop_programs()
            self._watchdog.close()
            os.close(writing)
            os.close(reading)

    def _handle_signal(self, number: int) -> None:
        # SIGTERM may come twice, from make and to the group; only a person presses Ctrl-C again.
        if self._stop.is_set() and number == signal.SIGINT:
            self._force_stop.set()
        elif not self._stop.is_set():
            self._stop.set()
            self._print_message("Stopping …")

    async def _wait_until_ready(self, until_ready: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Wait for readiness, an early death, or to be asked to end; False when the start failed."""
        async with _background_task(until_ready()) as ready, _background_task(self._stop.wait()) as stop:
            await _wait_for_first(ready, stop, *(child.exited for child in self._children))
        if self._stop.is_set():
            return True
        if ready.cancelled():
            ended = next(child for child in self._children if child.exited.done())
            self._print_message(
                f"The {ended.name} ended {ended.describe_exit()} before it was ready; the lines above say why."
            )
            return False
        try:
            ready.result()
        except StartupError as problem:
            self._print_message(str(problem))
            return False
        return True

    async def _run_until_stopped(self, parent_fd: int) -> int:
        """Keep all running until asked to end; 1 when the API can't go on."""
        async with (
            _background_task(self._restart_programs(parent_fd)) as keeping,
            _background_task(self._kill_stalled()) as watching,
            _background_task(self._stop.wait()) as stop,
        ):
            await _wait_for_first(keeping, watching, stop)
        if self._stop.is_set():
            return 0
        for task in (keeping, watching):
            if task.done() and not task.cancelled():
                task.result()
        api = self._children[0]
        self._print_message(f"The {api.name} ended {api.describe_exit()}, so everything ends.")
        return 1

    async def _restart_programs(self, parent_fd: int) -> None:
        """Start again what ends; returns when the API can't use its settings."""
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._restart_program(index, parent_fd)) for index in range(1, len(self._programs))
            ]
            await self._restart_program(0, parent_fd)
            for other in others:
                other.cancel()

    async def _restart_program(self, index: int, parent_fd: int) -> None:
        pause = self._timeouts.first_restart_delay
        while True:
            child = self._children[index]
            await _wait_for_first(child.exited)
            child.kill()
            if index == 0 and child.exited.result() == EXIT_UNUSABLE_SETTINGS:
                return
            if child.age() >= self._timeouts.stable_after:
                pause = self._timeouts.first_restart_delay
            self._print_message(f"The {child.name} ended {child.describe_exit()}; it is started again in {pause:g} s.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._timeouts.max_restart_delay)
            self._children[index] = await Child.start(
                self._programs[index], parent_fd, self._watchdog.build_environment()
            )

    async def _kill_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(STALL_CHECK_INTERVAL)
            # Who was stopped itself has not heard what was told meanwhile.
            late, looked = loop.time() - looked > 2 * STALL_CHECK_INTERVAL, loop.time()
            for child in self._children:
                if not late and not child.exited.done() and self._watchdog.is_stalled(child.process.pid):
                    self._print_message(
                        f"The {child.name} stood still for {self._timeouts.stall_timeout:g} s, so it is ended."
                    )
                    child.kill_stalled()

    async def _stop_programs(self) -> None:
        """End what runs, gently at first. From here on one Ctrl-C is enough to hurry."""
        self._stop.set()
        try:
            for child in self._children:
                child.terminate()
            gone = asyncio.gather(*(child.exited for child in self._children))
            async with _background_task(self._force_stop.wait()) as hurry:
                await asyncio.wait({gone, hurry}, timeout=self._timeouts.shutdown, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for child in self._children:
                child.kill()
        await gone


@contextlib.asynccontextmanager
async def _background_task[T](work: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """The work as a task that is over when the block is left: cancelled, unless it is done by then."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _wait_for_first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one is done; being cancelled here cancels none of them."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
