"""The zygote: a small process that every job's process is forked from, so that a job imports nothing and starts no Python.

Invariants: the zygote is forked before the executor loads what only the executor needs, so that its forks are cheap; it holds
no connection and no other job, and has one thread. A job goes to an idle process, forked ahead of time, which ends with the
job. A job that can leave processes behind has a reaper; any other job is a single process.
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
from executor.sandbox.zygote.idle_process import Sockets, WorkerPlan
from executor.sandbox.zygote.idle_processes import serve
from executor.sandbox.zygote.reaper import TERMINAL_SIGNALS


class ZygoteCrashed(Exception):
    """The zygote ended; the executor must be started again."""


type Setup = Callable[[bytes], tuple[bytes, WorkerPlan | None]]


class RunningJob(Struct, frozen=True):
    """A running job that has a reaper. Closing `control` ends it. stdin: where to write its input, if it has one.

    stderr: None if `stdout` carries both outputs.
    """

    control: socket.socket
    stdout: int
    stderr: int | None
    stdin: int | None = None


class Zygote:
    """The executor's side of the zygote. Mutable: whether the zygote was closed."""

    def __init__(self, set_up: Setup, first: Callable[[], None] = lambda: None) -> None:
        """Forks the zygote.

        set_up: runs in the zygote with the payload of `set_up`; returns the answer, and what the idle processes do. first:
        runs in the zygote before everything else.
        """
        self._control_socket, control = fd_passing.make_pair()
        self._reaped_socket, reaped = fd_passing.make_pair()
        self._single_socket, single = fd_passing.make_pair()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                close_other_descriptors({0, 1, 2, control.fileno(), reaped.fileno(), single.fileno()})
                first()
                _run_zygote(Sockets(control, reaped, single), set_up)
            finally:
                os._exit(0)
        for each in (control, reaped, single):
            each.close()

    def set_up(self, payload: bytes) -> bytes:
        """Sets the zygote up. Returns its answer, once it is ready. Raises ZygoteCrashed."""
        try:
            fd_passing.send(self._control_socket, payload)
            answer = fd_passing.receive(self._control_socket)
        except OSError as error:
            raise ZygoteCrashed from error
        if answer is None:
            raise ZygoteCrashed
        return answer[0]

    def start_reaped(self, payload: bytes, *, stdin: bool = False, merged: bool = False) -> RunningJob:
        """Starts a job that has a reaper. Raises ZygoteCrashed, OSError.

        stdin: the job gets an input, by a pipe: a file could be mapped and run. merged: both outputs are one pipe.
        """
        with contextlib.ExitStack() as opened:
            source, into = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
            _close_on_exit(opened, source)
            control, theirs = socket.socketpair()
            opened.callback(theirs.close)
            stdout, stdout_end = os.pipe()
            _close_on_exit(opened, stdout_end)
            stderr, stderr_end = (None, stdout_end) if merged else os.pipe()
            if not merged:
                _close_on_exit(opened, stderr_end)
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
        """Starts a job without a reaper. Returns its output; closing that ends the job. Raises ZygoteCrashed, OSError."""
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
        """Returns a descriptor that becomes readable when the zygote ends."""
        return self._control_socket.fileno()

    @property
    def is_alive(self) -> bool:
        """Whether the zygote runs."""
        poll = select.poll()
        poll.register(self._control_socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Ends the zygote."""
        for each in (self._control_socket, self._reaped_socket, self._single_socket):
            each.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _close_on_exit(opened: contextlib.ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor


def _run_zygote(sockets: Sockets, set_up: Setup) -> None:
    """Sets the zygote up, then keeps processes idle until the executor ends."""
    # A new session: signals of a terminal, or to the executor's process group, must not end the zygote and the reapers
    # before their jobs.
    os.setsid()
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    request = fd_passing.receive(sockets.control)
    if request is None:
        return
    answer, plan = set_up(request[0])
    fd_passing.send(sockets.control, answer)
    if plan:
        serve(sockets, plan)
