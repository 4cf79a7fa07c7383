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

from executor.sandbox.confine import close_other_descriptors
from executor.sandbox.zygote import fd_passing
from executor.sandbox.zygote.idle_processes import WorkerPlan, serve
from executor.sandbox.zygote.reaper import TERMINAL_SIGNALS


class ZygoteCrashed(Exception):
    """The zygote ended; the executor has to be started again."""


type Setup = Callable[[bytes], tuple[bytes, WorkerPlan | None]]


class RunningJob(Struct, frozen=True):
    """A job under way that has a keeper. Closing `control` ends it. stdin: where its input is written, if it has any.

    stderr: None if what is written there comes by `stdout`.
    """

    control: socket.socket
    stdout: int
    stderr: int | None
    stdin: int | None = None


class Zygote:
    """The executor's end of it."""

    def __init__(self, set_up: Setup, first: Callable[[], None] = lambda: None) -> None:
        """Fork it.

        grown: called there with what `grow` was given; what to answer, and what its processes do. first: called there
        before anything.
        """
        self._control_socket, line = fd_passing.make_pair()
        self._reaped_socket, kept = fd_passing.make_pair()
        self._single_socket, alone = fd_passing.make_pair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                close_other_descriptors({0, 1, 2, line.fileno(), kept.fileno(), alone.fileno()})
                first()
                _run_zygote(line, kept, alone, set_up)
            finally:
                os._exit(0)
        for each in (line, kept, alone):
            each.close()

    def set_up(self, payload: bytes) -> bytes:
        """Tell it what it is for; what it answers, once it is ready. Raises ZygoteLost."""
        try:
            fd_passing.send(self._control_socket, payload)
            answer = fd_passing.receive(self._control_socket)
        except OSError as error:
            raise ZygoteCrashed from error
        if answer is None:
            raise ZygoteCrashed
        return answer[0]

    def start_reaped(self, payload: bytes, *, stdin: bool = False, merged: bool = False) -> RunningJob:
        """Start a job that has a keeper. Raises ZygoteLost, OSError.

        stdin: it gets an input, by a pipe: a file could be mapped and run. merged: both outputs are one pipe.
        """
        with contextlib.ExitStack() as given:
            source, into = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
            _close_on_exit(given, source)
            control, theirs = socket.socketpair()
            given.callback(theirs.close)
            stdout, stdout_end = os.pipe()
            _close_on_exit(given, stdout_end)
            stderr, stderr_end = (None, stdout_end) if merged else os.pipe()
            if not merged:
                _close_on_exit(given, stderr_end)
            control.setblocking(False)
            try:
                fd_passing.send(self._reaped_socket, payload, [theirs.fileno(), source, stdout_end, stderr_end])
            except ConnectionError as error:
                control.close()
                for each in (stdout, stderr, into):
                    if each is not None:
                        os.close(each)
                raise ZygoteCrashed from error
        return RunningJob(control, stdout, stderr, into)

    def start_single(self, payload: bytes) -> int:
        """Start a job without a keeper; its output. Closing that ends it. Raises ZygoteLost, OSError."""
        stdout, end = os.pipe()
        try:
            fd_passing.send(self._single_socket, payload, [end])
        except ConnectionError as error:
            os.close(stdout)
            raise ZygoteCrashed from error
        finally:
            os.close(end)
        return stdout

    def fileno(self) -> int:
        """What becomes readable when it ends."""
        return self._control_socket.fileno()

    @property
    def is_alive(self) -> bool:
        """Whether it is there."""
        poll = select.poll()
        poll.register(self._control_socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """End it."""
        for each in (self._control_socket, self._reaped_socket, self._single_socket):
            each.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _close_on_exit(given: contextlib.ExitStack, descriptor: int) -> int:
    given.callback(os.close, descriptor)
    return descriptor


def _run_zygote(
    control_socket: socket.socket, reaped_socket: socket.socket, single_socket: socket.socket, set_up: Setup
) -> None:
    """Grow, then keep so many processes waiting, until the executor ends."""
    # A session of its own: what a terminal, or who ends the executor's process group, sends to all is not for it. Who
    # looks after a job must not end before it.
    os.setsid()
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    told = fd_passing.receive(control_socket)
    if told is None:
        return
    answer, trade = set_up(told[0])
    fd_passing.send(control_socket, answer)
    if trade:
        serve(control_socket, reaped_socket, single_socket, trade)
