"""Runs the programs, restarts them, and ends them.

Invariants: no program outlives this process, however it ends. It sends SIGTERM and, after a grace period, SIGKILL to the
process groups of all programs. If it is killed, the kernel closes a pipe whose other end every program watches
(`--parent-fd`). A program that ends is restarted. A program that sends no sign of life within the watchdog's timeout is
killed. Only an API that can't use its settings ends everything.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from msgspec import Struct

from cli import StartupError
from cli.up.child import Child, ChildWatchdog, Program

# The exit status of a program that can't use a setting.
EXIT_UNUSABLE_SETTINGS = 2
STALL_CHECK_INTERVAL = 0.5

type PrintMessage = Callable[[str], None]
type WaitUntilReady = Callable[[], Coroutine[Any, Any, None]]


class SupervisorTimeouts(Struct, frozen=True):
    """In seconds.

    shutdown: the time that programs have to end. first_restart_delay, max_restart_delay: the delay doubles from the first to
    the second. stable_after: a program that ran for so long is restarted with the first delay again. stall_timeout: the
    longest silence of a program that has sent a sign of life; 0 allows any.
    """

    shutdown: float = 4
    first_restart_delay: float = 1
    max_restart_delay: float = 30
    stable_after: float = 60
    stall_timeout: float = 30


class Supervisor:
    """Mutable: the running programs, and whether a stop, or an immediate stop, was requested."""

    def __init__(
        self,
        executor: Program,
        api: Program,
        print_message: PrintMessage,
        timeouts: SupervisorTimeouts | None = None,
        *others: Program,
    ) -> None:
        """others: more executors."""
        self._programs = (api, executor, *others)
        self._print_message = print_message
        self._timeouts = timeouts or SupervisorTimeouts()
        self._children: list[Child] = []
        self._stop = asyncio.Event()
        self._force_stop = asyncio.Event()
        self._watchdog = ChildWatchdog(self._timeouts.stall_timeout)

    async def run(self, until_ready: WaitUntilReady) -> int:
        """Starts the programs, waits until they are ready, and keeps them running.

        Returns the exit status: 0 after a requested stop, 1 when a program could not start or could not go on.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP, so the server ignores it too.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._handle_signal, number)
        reading, writing = os.pipe()
        try:
            for program in self._programs:
                self._children.append(await self._start(program, reading))
            if not await self._wait_until_ready(until_ready):
                return 1
            return await self._run_until_stopped(reading)
        finally:
            await self._stop_programs()
            self._watchdog.close()
            os.close(writing)
            os.close(reading)

    async def _start(self, program: Program, parent_fd: int) -> Child:
        return await Child.start(program, parent_fd, self._watchdog.build_environment())

    def _handle_signal(self, number: int) -> None:
        # SIGTERM may arrive twice, from make and to the process group; only a person presses Ctrl-C again.
        if self._stop.is_set() and number == signal.SIGINT:
            self._force_stop.set()
        elif not self._stop.is_set():
            self._stop.set()
            self._print_message("Stopping …")

    async def _wait_until_ready(self, until_ready: WaitUntilReady) -> bool:
        """Waits until the programs are ready, one ends, or a stop is requested; returns False when the start failed."""
        ready, _ = await _run_until_first(
            until_ready(), self._stop.wait(), others=[child.exited for child in self._children]
        )
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
        """Keeps the programs running until a stop is requested (0), or the API can't go on (1)."""
        restarts = (self._restart_program(index, parent_fd) for index in range(len(self._programs)))
        tasks = await _run_until_first(self._stop.wait(), self._kill_stalled(), *restarts)
        if self._stop.is_set():
            return 0
        for task in tasks:
            if not task.cancelled():
                task.result()
        api = self._children[0]
        self._print_message(f"The {api.name} ended {api.describe_exit()}, so the server stops.")
        return 1

    async def _restart_program(self, index: int, parent_fd: int) -> None:
        """Restarts a program whenever it ends; returns when the API can't use its settings."""
        delay = self._timeouts.first_restart_delay
        while True:
            child = self._children[index]
            await asyncio.wait({child.exited})
            child.kill()
            if index == 0 and child.exited.result() == EXIT_UNUSABLE_SETTINGS:
                return
            if child.age() >= self._timeouts.stable_after:
                delay = self._timeouts.first_restart_delay
            self._print_message(f"The {child.name} ended {child.describe_exit()}; it restarts in {delay:g} s.")
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._timeouts.max_restart_delay)
            self._children[index] = await self._start(self._programs[index], parent_fd)

    async def _kill_stalled(self) -> None:
        loop = asyncio.get_running_loop()
        last_check = loop.time()
        while True:
            await asyncio.sleep(STALL_CHECK_INTERVAL)
            # If this process itself was stopped, it has not read the signs of life that arrived meanwhile.
            late, last_check = loop.time() - last_check > 2 * STALL_CHECK_INTERVAL, loop.time()
            for child in self._children:
                if not late and not child.exited.done() and self._watchdog.is_stalled(child.process.pid):
                    self._print_message(
                        f"The {child.name} did not respond for {self._timeouts.stall_timeout:g} s, so it is killed."
                    )
                    child.kill_stalled()

    async def _stop_programs(self) -> None:
        """Ends the programs, first with SIGTERM. From here on, one Ctrl-C kills them at once."""
        self._stop.set()
        try:
            for child in self._children:
                child.terminate()
            exited = asyncio.gather(*(child.exited for child in self._children))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeouts.shutdown):
                    await _run_until_first(self._force_stop.wait(), others=[exited])
        finally:
            for child in self._children:
                child.kill()
        await exited


async def _run_until_first(
    *works: Coroutine[Any, Any, object], others: Iterable[asyncio.Future[Any]] = ()
) -> list[asyncio.Task[object]]:
    """Runs tasks until one of them, or of `others`, is done; cancels the rest of its tasks, and returns all of them."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait([*tasks, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return tasks
