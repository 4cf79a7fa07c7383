"""What the zygote does when it has grown: keeps processes waiting for jobs, and replaces those that die.

Law: as many wait as shall, whatever ends them. What a dead keeper leaves behind is ended: by the kernel where the keeper
had a PID namespace, and by the zygote where it had none, since orphans come to it.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from msgspec import Struct

from executor.sandbox import namespaces
from executor.sandbox.cgroups import Group, Tree
from executor.sandbox.landlock import LIBC
from executor.sandbox.zygote import fd_passing, processes, reaper
from executor.sandbox.zygote.reaper import PR_SET_CHILD_SUBREAPER, Watch, Work, keep

COUNTED_FOR = 1.0
RESET = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)
# Which of those that wait took a job: its number.
TAKEN = struct.Struct("=I")
MOST_HEARD = 1024
# Who dies while it waits dies of something that may kill the next one too.
PAUSE = 0.05


class Trade(Struct, frozen=True):
    """What the processes do. Each is called in one that waits: it makes ready, and gives back what does a job.

    kept: where a job may start programs, given how many other processes this user has (None: it is counted apart); watching: how long, as its keeper
    is told. alone: where it may not, with its standard output and nothing else. spare: how many of each wait. apart: kept
    ones have namespaces of their own, which they enter by /proc. hidden: nobody may look into what waits. groups: where
    each job has a control group.
    """

    kept: Callable[[int | None], Work]
    watching: Callable[[bytes], Watch]
    alone: Callable[[], Callable[[bytes], None]]
    spare: int
    apart: bool = False
    proc: int = -1
    hidden: bool = True
    groups: Tree | None = None


class Sockets(Struct, frozen=True):
    """line: to the executor; kept and alone: where jobs come from."""

    line: socket.socket
    kept: socket.socket
    alone: socket.socket


def serve(line: socket.socket, kept: socket.socket, alone: socket.socket, trade: Trade) -> None:
    """Keep processes waiting until the executor ends."""
    for number in (0, 1):
        _silence(number)
    # Where a keeper dies that had no namespace, what it kept comes here.
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A collection would touch, and so copy, all there is.
    gc.collect()
    gc.disable()
    gc.freeze()
    Spares(Sockets(line, kept, alone), trade).serve()


class Spares:
    """Mutable: the processes that wait, and those that keep a job."""

    def __init__(self, sockets: Sockets, trade: Trade) -> None:
        self._sockets = sockets
        self._trade = trade
        self._heard, self._taken = os.pipe()
        self._died, died = os.pipe()
        for each in (self._died, died):
            os.set_blocking(each, False)
        self._census = Census()
        self._number = 0
        # By number: its process, and whether it is a kept one.
        self._waiting: dict[int, tuple[int, bool]] = {}
        self._working: set[int] = set()
        # Of kept ones, by their process.
        self._groups: dict[int, Group] = {}
        # The end of any child is written there; the handler itself has nothing to do.
        signal.signal(signal.SIGCHLD, _heed_nothing)
        signal.set_wakeup_fd(died, warn_on_full_buffer=False)
        self._signals = died

    def serve(self) -> None:
        """Until the executor ends."""
        poll = select.poll()
        for each in (self._heard, self._died, self._sockets.line.fileno()):
            poll.register(each, select.POLLIN)
        for _ in range(self._trade.spare):
            self._add(kept=True)
            self._add(kept=False)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._sockets.line.fileno() in ready:
                for group in self._groups.values():
                    group.end()
                return
            # Who took a job and ended is heard of before it is reaped.
            if self._heard in ready:
                said = os.read(self._heard, MOST_HEARD * TAKEN.size)
                for (number,) in TAKEN.iter_unpack(said):
                    self._took(number)
            elif self._died in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._died, MOST_HEARD)
                self._reap()

    def _took(self, number: int) -> None:
        if found := self._waiting.pop(number, None):
            pid, kept = found
            self._working.add(pid)
            self._add(kept=kept)

    def _reap(self) -> None:
        ended: set[int] = set()
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended.add(pid)
        self._working -= ended
        for pid in ended & self._groups.keys():
            # Removed already, unless its keeper was killed.
            self._groups.pop(pid).end()
        lost = {number: kept for number, (pid, kept) in self._waiting.items() if pid in ended}
        if not self._trade.apart:
            self._end_orphans()
        if lost:
            time.sleep(PAUSE)
        for number, kept in lost.items():
            # It may have said so in its last moment.
            del self._waiting[number]
            self._add(kept=kept)

    def _end_orphans(self) -> None:
        """End what came here because its keeper died, however many it makes of itself meanwhile."""
        known = {*self._working, *(pid for pid, _ in self._waiting.values())}
        me = os.getpid()
        while orphans := processes.children(me) - known:
            for each in orphans:
                processes.end_tree(each)
            with contextlib.suppress(ChildProcessError):
                for each in orphans:
                    os.waitpid(each, 0)

    def _add(self, *, kept: bool) -> None:
        """Have one more wait."""
        self._number = (self._number + 1) % (1 << 32)
        apart = kept and self._trade.apart
        others = None
        if kept and not (apart and namespaces.counts_apart()):
            self._census.count()
            others = self._census.others
        who = os.getuid(), os.getgid()
        group = self._trade.groups.add(self._number) if kept and self._trade.groups else None
        pid = namespaces.fork() if apart else os.fork()
        if pid:
            self._waiting[self._number] = (pid, kept)
            if group:
                self._groups[pid] = group
            return
        try:
            signal.set_wakeup_fd(-1)
            if apart:
                namespaces.settle(self._trade.proc, *who, hidden=self._trade.hidden)
                reaper.end_with_parent()
            tell = partial(_tell, self._taken, self._number)
            closed = [self._heard, self._died, self._signals, self._sockets.line.fileno(), self._trade.proc]
            if kept:
                work = partial(
                    keep, self._sockets.kept, self._trade.watching, partial(self._trade.kept, others), tell, group
                )
                closed.append(self._sockets.alone.detach())
            else:
                work = partial(_alone, self._sockets.alone, self._trade.alone, tell)
                closed.append(self._sockets.kept.detach())
            self._sockets.line.detach()
            _wait(work, closed)
        finally:
            os._exit(1)


class Census:
    """How many processes this user has. Mutable: the count, and when it was made; to count takes as long as a short job."""

    def __init__(self) -> None:
        self.others = 0
        self._due = 0.0

    def count(self) -> None:
        """Count, unless that was done just before."""
        now = time.monotonic()
        if now >= self._due:
            self.others = processes.of_this_user()
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


def _heed_nothing(_number: int, _frame: object) -> None:
    """What is to be done is done when the signal is read."""


def _tell(taken: int, number: int) -> None:
    os.write(taken, TAKEN.pack(number))
    os.close(taken)


def _alone(jobs: socket.socket, ready: Callable[[], Callable[[bytes], None]], began: Callable[[], None]) -> None:
    _silence(2)
    work = ready()
    told = fd_passing.take(jobs)
    if told is None:
        return
    jobs.close()
    began()
    asked, [stdout] = told
    os.dup2(stdout, 1)
    os.close(stdout)
    work(asked)
