"""A program, its process, and the watchdog of all of them.

The programs send signs of life in the way that they send them to systemd (sd_notify(3)).
Invariants: the kernel names the sender of each message, so no other process can send signs of life for a stalled program.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import struct
from collections.abc import Mapping

from msgspec import Struct

WATCHDOG_MESSAGE = b"WATCHDOG=1"
MAX_MESSAGE_BYTES = 4096
UCRED = struct.Struct("3i")


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


class ChildWatchdog:
    """Mutable: the time of each process's last sign of life. seconds: the longest allowed silence; 0 allows any."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last_pings: dict[int, float] = {}
        # An abstract socket has no folder: a program that has given up root reaches it too.
        self._name = f"claude-api-server/{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._socket.bind(f"\0{self._name}")

    def build_environment(self) -> dict[str, str]:
        """Returns the variables that tell a program where to send signs of life, and how often."""
        if not self._seconds:
            return {}
        return {"NOTIFY_SOCKET": f"@{self._name}", "WATCHDOG_USEC": str(int(self._seconds * 1_000_000))}

    def is_stalled(self, pid: int) -> bool:
        """Returns whether a process that sent a sign of life has been silent for too long."""
        self._read_messages()
        last = self._last_pings.get(pid)
        return last is not None and asyncio.get_running_loop().time() - last > self._seconds

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _read_messages(self) -> None:
        now = asyncio.get_running_loop().time()
        with contextlib.suppress(BlockingIOError):
            while True:
                data, extra, _, _ = self._socket.recvmsg(MAX_MESSAGE_BYTES, socket.CMSG_SPACE(UCRED.size))
                for level, kind, value in extra:
                    if data == WATCHDOG_MESSAGE and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                        pid, _, _ = UCRED.unpack(value)
                        self._last_pings[pid] = now
