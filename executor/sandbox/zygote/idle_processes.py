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
from executor.sandbox.cgroups import Cgroup, CgroupTree
from executor.sandbox.libc import LIBC, PR_SET_CHILD_SUBREAPER
from executor.sandbox.zygote import fd_passing, processes, reaper
from executor.sandbox.zygote.reaper import JobLimits, Work, supervise_job

COUNT_MAX_AGE = 1.0
RESET_SIGNALS = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)
# Which of those that wait took a job: its number.
TAKEN_MESSAGE = struct.Struct("=I")
MAX_MESSAGES_PER_READ = 1024
# Who dies while it waits dies of something that may kill the next one too.
REFORK_DELAY = 0.05


class WorkerPlan(Struct, frozen=True):
    """What the processes do. Each is called in one that waits: it makes ready, and gives back what does a job.

    kept: where a job may start programs, given how many other processes this user has (None: it is counted apart); watching: how long, as its keeper
    is told. alone: where it may not, with its standard output and nothing else. spare: how many of each wait. apart: kept
    ones have namespaces of their own, which they enter by /proc. hidden: nobody may look into what waits. groups: where
    each job has a control group.
    """

    prepare_reaped: Callable[[int | None], Work]
    build_limits: Callable[[bytes], JobLimits]
    prepare_single: Callable[[], Callable[[bytes], None]]
    idle_count: int
    own_namespaces: bool = False
    proc_descriptor: int = -1
    hidden: bool = True
    cgroups: CgroupTree | None = None


class Sockets(Struct, frozen=True):
    """line: to the executor; kept and alone: where jobs come from."""

    control: socket.socket
    reaped: socket.socket
    single: socket.socket


def serve(
    control_socket: socket.socket, reaped_socket: socket.socket, single_socket: socket.socket, plan: WorkerPlan
) -> None:
    """Keep processes waiting until the executor ends."""
    for number in (0, 1):
        _redirect_to_null(number)
    # Where a keeper dies that had no namespace, what it kept comes here.
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A collection would touch, and so copy, all there is.
    gc.collect()
    gc.disable()
    gc.freeze()
    IdleProcesses(Sockets(control_socket, reaped_socket, single_socket), plan).serve()


class IdleProcesses:
    """Mutable: the processes that wait, and those that keep a job."""

    def __init__(self, sockets: Sockets, plan: WorkerPlan) -> None:
        self._sockets = sockets
        self._plan = plan
        self._taken_reader, self._taken_writer = os.pipe()
        self._sigchld_reader, died = os.pipe()
        for each in (self._sigchld_reader, died):
            os.set_blocking(each, False)
        self._counter = ProcessCounter()
        self._number = 0
        # By number: its process, and whether it is a kept one.
        self._idle: dict[int, tuple[int, bool]] = {}
        self._working: set[int] = set()
        # Of kept ones, by their process.
        self._groups: dict[int, Cgroup] = {}
        # The end of any child is written there; the handler itself has nothing to do.
        signal.signal(signal.SIGCHLD, _ignore_signal)
        signal.set_wakeup_fd(died, warn_on_full_buffer=False)
        self._sigchld_writer = died

    def serve(self) -> None:
        """Until the executor ends."""
        poll = select.poll()
        for each in (self._taken_reader, self._sigchld_reader, self._sockets.control.fileno()):
            poll.register(each, select.POLLIN)
        for _ in range(self._plan.idle_count):
            self._add_idle(reaped=True)
            self._add_idle(reaped=False)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._sockets.control.fileno() in ready:
                for group in self._groups.values():
                    group.destroy()
                return
            # Who took a job and ended is heard of before it is reaped.
            if self._taken_reader in ready:
                said = os.read(self._taken_reader, MAX_MESSAGES_PER_READ * TAKEN_MESSAGE.size)
                for (number,) in TAKEN_MESSAGE.iter_unpack(said):
                    self._replace_taken(number)
            elif self._sigchld_reader in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._sigchld_reader, MAX_MESSAGES_PER_READ)
                self._reap()

    def _replace_taken(self, number: int) -> None:
        if found := self._idle.pop(number, None):
            pid, kept = found
            self._working.add(pid)
            self._add_idle(reaped=kept)

    def _reap(self) -> None:
        ended: set[int] = set()
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended.add(pid)
        self._working -= ended
        for pid in ended & self._groups.keys():
            # Removed already, unless its keeper was killed.
            self._groups.pop(pid).destroy()
        lost = {number: kept for number, (pid, kept) in self._idle.items() if pid in ended}
        if not self._plan.own_namespaces:
            self._end_orphans()
        if lost:
            time.sleep(REFORK_DELAY)
        for number, kept in lost.items():
            # It may have said so in its last moment.
            del self._idle[number]
            self._add_idle(reaped=kept)

    def _end_orphans(self) -> None:
        """End what came here because its keeper died, however many it makes of itself meanwhile."""
        known = {*self._working, *(pid for pid, _ in self._idle.values())}
        me = os.getpid()
        while orphans := processes.list_children(me) - known:
            for each in orphans:
                processes.kill_tree(each)
            with contextlib.suppress(ChildProcessError):
                for each in orphans:
                    os.waitpid(each, 0)

    def _add_idle(self, *, reaped: bool) -> None:
        """Have one more wait."""
        self._number = (self._number + 1) % (1 << 32)
        apart = reaped and self._plan.own_namespaces
        others = None
        if reaped and not (apart and namespaces.has_separate_count()):
            self._counter.update()
            others = self._counter.total
        who = os.getuid(), os.getgid()
        group = self._plan.cgroups.add_group(self._number) if reaped and self._plan.cgroups else None
        pid = namespaces.fork_into_namespaces() if apart else os.fork()
        if pid:
            self._idle[self._number] = (pid, reaped)
            if group:
                self._groups[pid] = group
            return
        try:
            signal.set_wakeup_fd(-1)
            if apart:
                namespaces.set_up_process(self._plan.proc_descriptor, *who, hidden=self._plan.hidden)
                reaper.die_with_parent()
            tell = partial(_report_taken, self._taken_writer, self._number)
            closed = [
                self._taken_reader,
                self._sigchld_reader,
                self._sigchld_writer,
                self._sockets.control.fileno(),
                self._plan.proc_descriptor,
            ]
            if reaped:
                work = partial(
                    supervise_job,
                    self._sockets.reaped,
                    self._plan.build_limits,
                    partial(self._plan.prepare_reaped, others),
                    tell,
                    group,
                )
                closed.append(self._sockets.single.detach())
            else:
                work = partial(_run_single, self._sockets.single, self._plan.prepare_single, tell)
                closed.append(self._sockets.reaped.detach())
            self._sockets.control.detach()
            _run_idle(work, closed)
        finally:
            os._exit(1)


class ProcessCounter:
    """How many processes this user has. Mutable: the count, and when it was made; to count takes as long as a short job."""

    def __init__(self) -> None:
        self.total = 0
        self._recount_at = 0.0

    def update(self) -> None:
        """Count, unless that was done just before."""
        now = time.monotonic()
        if now >= self._recount_at:
            self.total = processes.count_user_processes()
            self._recount_at = now + COUNT_MAX_AGE


def _run_idle(work: Callable[[], None], foreign_descriptors: Iterable[int]) -> NoReturn:
    """What a process does that was forked to wait for a job. others: descriptors that are not its own."""
    try:
        for each in foreign_descriptors:
            os.close(each)
        for number in RESET_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        work()
    finally:
        os._exit(0)


def _redirect_to_null(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, number)
    os.close(nothing)


def _ignore_signal(_number: int, _frame: object) -> None:
    """What is to be done is done when the signal is read."""


def _report_taken(taken: int, number: int) -> None:
    os.write(taken, TAKEN_MESSAGE.pack(number))
    os.close(taken)


def _run_single(
    jobs: socket.socket, prepare: Callable[[], Callable[[bytes], None]], on_start: Callable[[], None]
) -> None:
    _redirect_to_null(2)
    work = prepare()
    told = fd_passing.receive(jobs)
    if told is None:
        return
    jobs.close()
    on_start()
    asked, [stdout] = told
    os.dup2(stdout, 1)
    os.close(stdout)
    work(asked)
