"""A program and its process."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

from msgspec import Struct


class Program(Struct, frozen=True):
    """How to start a program. name: its name in messages. `--parent-fd N` is added to argv."""

    name: str
    argv: tuple[str, ...]
    environment: dict[str, str]

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


class Child:
    """The process of a program. exited: a task that returns the exit status. Mutable: whether its group was killed."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.started_at = asyncio.get_running_loop().time()
        self.exited = asyncio.create_task(process.wait())
        self._killed = False

    @classmethod
    async def start(cls, program: Program, parent_fd: int, watchdog_environment: Mapping[str, str]) -> "Child":
        """Starts a program in its own session, so that Ctrl-C in the terminal does not reach it."""
        process = await asyncio.create_subprocess_exec(
            *(*program.argv, "--parent-fd", str(parent_fd)),
            env={**program.environment, **watchdog_environment},
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(parent_fd,),
            start_new_session=True,
        )
        return cls(program.name, process)

    def age(self) -> float:
        """Returns the seconds since its start."""
        return asyncio.get_running_loop().time() - self.started_at

    def terminate(self) -> None:
        """Sends SIGTERM to the process."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """Kills its process group, including processes that outlived the program."""
        if self._killed:
            return
        # At most once after its exit: the kernel may give the process number to another process later.
        self._killed = self.exited.done()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def kill_stalled(self) -> None:
        """Kills the process only. It may be stopped, so that SIGTERM would have no effect."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def describe_exit(self) -> str:
        """Returns how it ended, for a sentence."""
        status = self.exited.result()
        return f"with exit code {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
