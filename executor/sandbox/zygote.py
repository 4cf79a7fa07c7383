"""A small process from which every job's process is a fork: nothing is imported and no program of ours is run for a job.

Law: the zygote is forked before the executor loads what only the executor needs, so that its copies are cheap; it holds
no connection and no other job, and has one thread. A job goes to a process that waits, forked ahead of time, which ends
with it. What can leave processes behind has a keeper; what can't is a single process.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from msgspec import Struct

from executor.sandbox import post
from executor.sandbox.confine import close_others
from executor.sandbox.keeper import OF_TERMINALS, Watch, Work, keep, of_this_user

KEPT, ALONE = b"k", b"a"
COUNTED_FOR = 1.0
RESET = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)


class ZygoteLost(Exception):
    """The zygote ended; the executor has to be started again."""


class Trade(Struct, frozen=True):
    """What the processes do. Each is called in one that waits: it makes ready, and gives back what does a job.

    kept: where a job may start programs, given how many other processes this user has; watching: how long, as its keeper
    is told. alone: where it may not, with its standard output and nothing else. spare: how many of each wait.
    """

    kept: Callable[[int], Work]
    watching: Callable[[bytes], Watch]
    alone: Callable[[], Callable[[bytes], None]]
    spare: int


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
        self._line, line = post.pair()
        self._kept, kept = post.pair()
        self._alone, alone = post.pair()
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
            post.give(self._line, told)
            answer = post.take(self._line)
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
                post.give(self._kept, asked, [theirs.fileno(), source, stdout_end, stderr_end])
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
            post.give(self._alone, asked, [end])
        except ConnectionError as error:
            os.close(stdout)
            raise ZygoteLost from error
        finally:
            os.close(end)
        return stdout

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
    # What a terminal sends to all is for the executor to hear: who looks after a job must not end before it.
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    told = post.take(line)
    if told is None:
        return
    answer, trade = grown(told[0])
    post.give(line, answer)
    if trade:
        _serve(line, kept, alone, trade)


def _serve(line: socket.socket, kept: socket.socket, alone: socket.socket, trade: Trade) -> None:
    # Whoever ends is not waited for: the keepers tell the executor themselves.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in (0, 1):
        _silence(number)
    # A collection would touch, and so copy, all there is.
    gc.collect()
    gc.disable()
    gc.freeze()
    heard, taken = os.pipe()
    census = Census()
    work = {
        KEPT: lambda: keep(kept, trade.watching, partial(trade.kept, census.others), partial(_tell, taken, KEPT)),
        ALONE: lambda: _alone(alone, trade.alone, partial(_tell, taken, ALONE)),
    }
    others = {KEPT: (line, alone), ALONE: (line, kept)}
    poll = select.poll()
    for each in (heard, line.fileno()):
        poll.register(each, select.POLLIN)
    wanted = KEPT * trade.spare + ALONE * trade.spare
    while True:
        if KEPT in wanted:
            census.count()
        for each in wanted:
            kind = bytes([each])
            if os.fork() == 0:
                _wait(work[kind], [heard, *(other.detach() for other in others[kind])])
        if line.fileno() in [descriptor for descriptor, _ in poll.poll()]:
            return
        wanted = os.read(heard, 2 * trade.spare)


class Census:
    """How many processes this user has. Mutable: the count, and when it was made; to count takes as long as a short job."""

    def __init__(self) -> None:
        self.others = 0
        self._due = 0.0

    def count(self) -> None:
        """Count, unless that was done just before."""
        now = time.monotonic()
        if now >= self._due:
            self.others = of_this_user()
            self._due = now + COUNTED_FOR


def _wait(work: Callable[[], None], others: Iterable[int]) -> NoReturn:
    """What a process does that was forked to wait for a job. others: descriptors that are not its own."""
    try:
        for each in others:
            os.close(each)
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        work()
    finally:
        os._exit(0)


def _silence(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, number)
    os.close(nothing)


def _tell(taken: int, kind: bytes) -> None:
    os.write(taken, kind)
    os.close(taken)


def _alone(jobs: socket.socket, ready: Callable[[], Callable[[bytes], None]], began: Callable[[], None]) -> None:
    _silence(2)
    work = ready()
    told = post.take(jobs)
    if told is None:
        return
    jobs.close()
    began()
    asked, [stdout] = told
    os.dup2(stdout, 1)
    os.close(stdout)
    work(asked)
