"""One CLI process, with its own folder, process group and sandbox.

Invariants: the process never outlives the executor (the kernel kills it when its parent dies); its folder is removed with it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

from executor.claude.cli.launch import Launch
from executor.claude.cli.protocol import Line, parse_line
from executor.claude.cli.sandbox import prepare_entry
from executor.sandbox.libc import LIBC, PR_SET_PDEATHSIG

MAX_LINE_BYTES = 64 * 1024 * 1024
# How much is read ahead of a slow client; after that the CLI must wait, and so must the service.
READ_BUFFER_BYTES = 256 * 1024


class CliCrashed(Exception):
    """The CLI could not be started, closed its output, or stopped reading its input."""


class CliProcess:
    """Writes and reads lines. Mutable: the process, and the last lines of its stderr."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._stderr_tail: deque[bytes] = deque(maxlen=5)
        self._stderr_task = asyncio.create_task(self._read_stderr())
        self.exited = asyncio.create_task(process.wait())

    def __repr__(self) -> str:
        return f"<CliProcess pid={self.process.pid} exit={self.process.returncode}>"

    @classmethod
    async def start(cls, launch: Launch, base: Path) -> "CliProcess":
        """Starts a CLI with a new private folder in `base`. Raises CliCrashed."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="cli-", dir=base))
        except OSError as error:
            raise CliCrashed(f"its private folder could not be made: {error.strerror}") from error
        try:
            with prepare_entry(launch.sandbox, folder) as enter:
                process = await asyncio.create_subprocess_exec(
                    *launch.build_argv(),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=launch.build_environment(folder),
                    # The CLI tells the model its working folder; this one says nothing about the host.
                    cwd="/",
                    limit=READ_BUFFER_BYTES,
                    start_new_session=True,
                    preexec_fn=_build_preexec(os.getpid(), enter),
                )
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise CliCrashed(f"{launch.binary.name} could not be started: {error.strerror}") from error
            if isinstance(error, subprocess.SubprocessError):
                raise CliCrashed(f"{launch.binary.name} could not be started: its sandbox can't be put up") from error
            raise
        return cls(process, folder)

    @property
    def stderr_text(self) -> str:
        """The last lines that the process wrote to stderr."""
        return b" ".join(self._stderr_tail).decode(errors="replace").strip()

    async def write(self, lines: bytes) -> None:
        """Writes complete lines. Raises CliCrashed."""
        assert self.process.stdin
        # A closed transport of uvloop raises RuntimeError instead of ConnectionError.
        if self.process.stdin.is_closing():
            raise CliCrashed("it closed its input")
        try:
            self.process.stdin.write(lines)
            await self.process.stdin.drain()
        except ConnectionError as error:
            raise CliCrashed("it closed its input") from error

    async def read(self) -> Line:
        """Returns the next line. Raises CliCrashed at the end of the output."""
        assert self.process.stdout
        pieces: list[bytes] = []
        while sum(map(len, pieces)) <= MAX_LINE_BYTES:
            try:
                pieces.append(await self.process.stdout.readuntil(b"\n"))
                return parse_line(b"".join(pieces))
            except asyncio.LimitOverrunError as longer:
                pieces.append(await self.process.stdout.readexactly(longer.consumed))
            except asyncio.IncompleteReadError as end:
                if end.partial or pieces:
                    return parse_line(b"".join([*pieces, end.partial]))
                raise CliCrashed("it closed its output") from end
        raise CliCrashed(f"it wrote a line of over {MAX_LINE_BYTES} bytes")

    def set_niceness(self, nice: int) -> None:
        """Sets the priority of this process group, 0 (normal) to 19 (lowest), where the kernel groups by session."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/autogroup").write_text(str(nice), encoding="ascii")

    def kill(self) -> None:
        """Kills the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def clean_up(self) -> None:
        """Kills and reaps the process, and removes its folder."""
        self.kill()
        await self.exited
        self._stderr_task.cancel()
        if self.process.stdin:
            self.process.stdin.close()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _read_stderr(self) -> None:
        assert self.process.stderr
        with contextlib.suppress(ValueError):
            async for line in self.process.stderr:
                self._stderr_tail.append(line[:500])


def _build_preexec(parent: int, enter: Callable[[], None]) -> Callable[[], None]:
    def before_exec() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        enter()

    return before_exec
