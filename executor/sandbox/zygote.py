"""A small process from which every job's process is a fork: nothing is imported and no program of ours is run for a job.

Law: the zygote is forked before anything else runs in the executor, holds no connection and no other job, and has one
thread. A job comes as one byte with five file descriptors (unix(7), SCM_RIGHTS); a process that waits, forked ahead of
time, takes it, and ends with it.
"""

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
from collections.abc import Callable

import msgspec
from msgspec import Struct

from executor.sandbox.confine import close_others
from executor.sandbox.keeper import Ended, Watch, keep

type Work = Callable[[bytes, int], None]
type Watching = Callable[[bytes], Watch]


class ZygoteLost(Exception):
    """The zygote ended; the executor has to be started again."""


class Running(Struct, frozen=True):
    """A job under way. Closing `control` ends it. stdin: where its input is written, if it has any."""

    control: socket.socket
    stdout: int
    stderr: int
    stdin: int | None = None

    async def ended(self) -> Ended:
        """How it ended, once nothing of it lives. Raises ZygoteLost."""
        told = await asyncio.get_running_loop().sock_recv(self.control, 4096)
        if not told:
            raise ZygoteLost
        return msgspec.msgpack.decode(told, type=Ended)


class Zygote:
    """The executor's end of it."""

    def __init__(self, work: Work, watching: Watching, held: frozenset[int] = frozenset(), spare: int = 2) -> None:
        """Fork it.

        work: run in each job's process; it must not return. held: descriptors it needs. spare: processes that wait.
        """
        self._sock, jobs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._alive, alive = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                close_others({0, 1, 2, jobs.fileno(), alive.fileno(), *held})
                _serve(jobs, alive, spare, work, watching)
            finally:
                os._exit(0)
        jobs.close()
        alive.close()

    def start(self, asked: bytes, *, stdin: bool = False) -> Running:
        """Start a job. stdin: it gets an input, by a pipe: a file could be mapped and run. Raises ZygoteLost, OSError."""
        with contextlib.ExitStack() as given:

            def owned(descriptor: int) -> int:
                given.callback(os.close, descriptor)
                return descriptor

            payload = owned(_held(asked))
            source, into = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
            owned(source)
            control, theirs = socket.socketpair()
            given.callback(theirs.close)
            stdout, stdout_end = os.pipe()
            owned(stdout_end)
            stderr, stderr_end = os.pipe()
            owned(stderr_end)
            control.setblocking(False)
            try:
                socket.send_fds(self._sock, [b"+"], [payload, theirs.fileno(), source, stdout_end, stderr_end])
            except (BrokenPipeError, ConnectionError) as error:
                control.close()
                for each in (stdout, stderr, into):
                    if each is not None:
                        os.close(each)
                raise ZygoteLost from error
        return Running(control, stdout, stderr, into)

    def close(self) -> None:
        """End it."""
        self._sock.close()
        self._alive.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _held(data: bytes) -> int:
    """A file descriptor from which the data can be read."""
    descriptor = os.memfd_create("job")
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _serve(jobs: socket.socket, alive: socket.socket, spare: int, work: Work, watching: Watching) -> None:
    """Keep so many keepers waiting, until the executor ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Whoever ends is not waited for: the keepers tell the executor themselves.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    heard, taken = os.pipe()
    wanted = spare
    poll = select.poll()
    for each in (heard, alive.fileno()):
        poll.register(each, select.POLLIN)
    while True:
        for _ in range(wanted):
            if os.fork() == 0:
                try:
                    alive.close()
                    os.close(heard)
                    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
                        signal.signal(number, signal.SIG_DFL)
                    keep(jobs, watching, work, taken)
                finally:
                    os._exit(0)
        if alive.fileno() in [descriptor for descriptor, _ in poll.poll()]:
            return
        wanted = len(os.read(heard, spare))
