"""The zygote's main loop: keeps idle processes waiting for jobs, and replaces those that take a job or die.

Invariants: `idle_count` processes of each kind are idle, whatever ends them. What a dead reaper leaves behind is ended: by the
kernel if the reaper had a PID namespace, else by the zygote, whose children the orphans become.
"""

import contextlib
import gc
import os
import select
import signal
import time

from executor.sandbox import landlock, namespaces
from executor.sandbox.cgroups import Cgroup
from executor.sandbox.libc import LIBC, PR_SET_CHILD_SUBREAPER
from executor.sandbox.zygote import processes
from executor.sandbox.zygote.idle_process import (
    TAKEN_MESSAGE,
    IdleSpec,
    Sockets,
    WorkerPlan,
    redirect_to_null,
    run_idle_process,
)

MAX_MESSAGES_PER_READ = 1024
# What killed an idle process may kill the next one too: a pause avoids a busy loop.
REFORK_DELAY = 0.05


def serve(sockets: Sockets, plan: WorkerPlan) -> None:
    """Keeps processes idle until the executor ends."""
    for number in (0, 1):
        redirect_to_null(number)
    # Processes of a reaper that dies outside of a namespace become children of this one.
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A collection would touch, and so copy, all memory that the forks share.
    gc.collect()
    gc.disable()
    gc.freeze()
    IdleProcesses(sockets, plan).serve()


class IdleProcesses:
    """Mutable: the idle processes, the ones that run a job, and the control groups of both."""

    def __init__(self, sockets: Sockets, plan: WorkerPlan) -> None:
        self._sockets = sockets
        self._plan = plan
        self._taken_reader, self._taken_writer = os.pipe()
        self._sigchld_reader, self._sigchld_writer = os.pipe()
        for each in (self._sigchld_reader, self._sigchld_writer):
            os.set_blocking(each, False)
        self._counter = processes.ProcessCounter()
        self._number = 0
        # By number: the process id, and whether it has a reaper.
        self._idle: dict[int, tuple[int, bool]] = {}
        self._running: set[int] = set()
        # By process id.
        self._groups: dict[int, Cgroup] = {}
        # Python writes a byte to the pipe when any child ends; the handler itself has nothing to do.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._sigchld_writer, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Returns when the executor ends."""
        poll = select.poll()
        for each in (self._taken_reader, self._sigchld_reader, self._sockets.control.fileno()):
            poll.register(each, select.POLLIN)
        for _ in range(self._plan.idle_count):
            self._fork_idle(reaped=True)
            self._fork_idle(reaped=False)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._sockets.control.fileno() in ready:
                for group in self._groups.values():
                    group.destroy()
                return
            # A process that took a job and ended is recorded as taken before it is reaped.
            if self._taken_reader in ready:
                messages = os.read(self._taken_reader, MAX_MESSAGES_PER_READ * TAKEN_MESSAGE.size)
                for (number,) in TAKEN_MESSAGE.iter_unpack(messages):
                    if taken := self._idle.pop(number, None):
                        pid, reaped = taken
                        self._running.add(pid)
                        self._fork_idle(reaped=reaped)
            elif self._sigchld_reader in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._sigchld_reader, MAX_MESSAGES_PER_READ)
                self._reap()

    def _reap(self) -> None:
        ended: set[int] = set()
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended.add(pid)
        self._running -= ended
        for pid in ended & self._groups.keys():
            # The reaper has removed the group already, unless it was killed.
            self._groups.pop(pid).destroy()
        lost = {number: reaped for number, (pid, reaped) in self._idle.items() if pid in ended}
        if not self._plan.own_namespaces:
            self._end_orphans()
        if lost:
            time.sleep(REFORK_DELAY)
        for number, reaped in lost.items():
            # If its message that it took a job arrives after this, the number is unknown and the message has no effect.
            del self._idle[number]
            self._fork_idle(reaped=reaped)

    def _end_orphans(self) -> None:
        """Kills the processes that became children because their reaper died, however many they start meanwhile."""
        known = {*self._running, *(pid for pid, _ in self._idle.values())}
        own_pid = os.getpid()
        while orphans := processes.list_children(own_pid) - known:
            for each in orphans:
                processes.kill_tree(each)
            with contextlib.suppress(ChildProcessError):
                for each in orphans:
                    os.waitpid(each, 0)

    def _fork_idle(self, *, reaped: bool) -> None:
        """Forks one more idle process."""
        plan = self._plan
        self._number = (self._number + 1) % (1 << 32)
        own_namespaces = reaped and plan.own_namespaces
        others = None
        if reaped and not (own_namespaces and landlock.get_abi_version() >= namespaces.SEPARATE_COUNT_ABI):
            others = self._counter.count()
        group = plan.cgroups.add_group(self._number) if reaped and plan.cgroups else None
        spec = IdleSpec(self._number, reaped, own_namespaces, os.getuid(), os.getgid(), others, group)
        pid = namespaces.fork_into_namespaces() if own_namespaces else os.fork()
        if pid == 0:
            foreign = (self._taken_reader, self._sigchld_reader, self._sigchld_writer)
            run_idle_process(spec, plan, self._sockets, self._taken_writer, foreign)
        self._idle[self._number] = (pid, reaped)
        if group:
            self._groups[pid] = group
