"""A small process from which every job's process is a fork: nothing is imported and no program of ours is run for a job.

Law: the zygote is forked before the executor loads what only the executor needs, so that its copies are cheap; it holds
no connection and no other job, and has one thread. A job goes to a process that waits, forked ahead of time, which ends
with it. What can leave processes behind has a keeper; what can't is a single process.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable

from msgspec import Struct

from executor.sandbox.confine import close_others
from executor.sandbox.zygote import fd_passing
from executor.sandbox.zygote.idle_processes import Trade, serve
from executor.sandbox.zygote.reaper import OF_TERMINALS


class ZygoteLost(Exception):
    """The zygote ended; the executor has to be started again."""


type Grow = Callable[[bytes], tuple[bytes, Trade | None]]


class Running(Struct, frozen=True):
    """A job under way that has a keeper. Closing `control` ends it. stdin: where its input is written, if it has any.

    stderr: None if what is written there comes by `stdout`.
    """

    control: socket.socket
    stdout: int
    stderr: int | None
    stdin: int | None = None


class Zygote:
    """The executor's end of it."""

    def __init__(self, grown: Grow, first: Callable[[], None] = lambda: None) -> None:
        """Fork it.

        grown: called there with what `grow` was given; what to answer, and what its processes do. first: called there
        before anything.
        """
        self._line, line = fd_passing.pair()
        self._kept, kept = fd_passing.pair()
        self._alone, alone = fd_passing.pair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                close_others({0, 1, 2, line.fileno(), kept.fileno(), alone.fileno()})
                first()
                _live(line, kept, alone, grown)
            finally:
                os._exit(0)
        for each in (line, kept, alone):
            each.close()

    def grow(self, told: bytes) -> bytes:
        """Tell it what it is for; what it answers, once it is ready. Raises ZygoteLost."""
        try:
            fd_passing.give(self._line, told)
            answer = fd_passing.take(self._line)
        except OSError as error:
            raise ZygoteLost from error
        if answer is None:
            raise ZygoteLost
        return answer[0]

    def start(self, asked: bytes, *, stdin: bool = False, merged: bool = False) -> Running:
        """Start a job that has a keeper. Raises ZygoteLost, OSError.

        stdin: it gets an input, by a pipe: a file could be mapped and run. merged: both outputs are one pipe.
        """
        with contextlib.ExitStack() as given:
            source, into = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
            _owned(given, source)
            control, theirs = socket.socketpair()
            given.callback(theirs.close)
            stdout, stdout_end = os.pipe()
            _owned(given, stdout_end)
            stderr, stderr_end = (None, stdout_end) if merged else os.pipe()
            if not merged:
                _owned(given, stderr_end)
            control.setblocking(False)
            try:
                fd_passing.give(self._kept, asked, [theirs.fileno(), source, stdout_end, stderr_end])
            except ConnectionError as error:
                control.close()
                for each in (stdout, stderr, into):
                    if each is not None:
                        os.close(each)
                raise ZygoteLost from error
        return Running(control, stdout, stderr, into)

    def start_alone(self, asked: bytes) -> int:
        """Start a job without a keeper; its output. Closing that ends it. Raises ZygoteLost, OSError."""
        stdout, end = os.pipe()
        try:
            fd_passing.give(self._alone, asked, [end])
        except ConnectionError as error:
            os.close(stdout)
            raise ZygoteLost from error
        finally:
            os.close(end)
        return stdout

    def fileno(self) -> int:
        """What becomes readable when it ends."""
        return self._line.fileno()

    @property
    def lives(self) -> bool:
        """Whether it is there."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """End it."""
        for each in (self._line, self._kept, self._alone):
            each.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _owned(given: contextlib.ExitStack, descriptor: int) -> int:
    given.callback(os.close, descriptor)
    return descriptor


def _live(line: socket.socket, kept: socket.socket, alone: socket.socket, grown: Grow) -> None:
    """Grow, then keep so many processes waiting, until the executor ends."""
    # A session of its own: what a terminal, or who ends the executor's process group, sends to all is not for it. Who
    # looks after a job must not end before it.
    os.setsid()
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    told = fd_passing.take(line)
    if told is None:
        return
    answer, trade = grown(told[0])
    fd_passing.give(line, answer)
    if trade:
        serve(line, kept, alone, trade)
