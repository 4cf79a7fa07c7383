"""One idle process of the zygote: it closes what it must not hold, prepares, waits for one job, does it and ends."""

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from msgspec import Struct

from executor.sandbox import namespaces
from executor.sandbox.cgroups import Cgroup, CgroupTree
from executor.sandbox.zygote import fd_passing
from executor.sandbox.zygote.processes import die_with_parent
from executor.sandbox.zygote.reaper import JobLimits, Work, supervise_job

RESET_SIGNALS = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)
# Sent to the zygote when an idle process takes a job: the number of the process.
TAKEN_MESSAGE = struct.Struct("=I")


class WorkerPlan(Struct, frozen=True):
    """Each `prepare` function runs in an idle process and returns what does a job.

    prepare_reaped: for jobs that may start programs; gets the number of this user's other processes (None: the kernel counts
    the job's own separately). build_limits: the limits that the reaper checks. prepare_single: for jobs that start no program
    and have only a standard output. idle_count: how many idle processes of each kind. own_namespaces: reaped processes have
    their own namespaces, which they enter by proc_descriptor. hidden: no other process may read the memory of an idle one.
    cgroups: where each job gets a control group.
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
    """control: to the executor. reaped, single: where jobs of each kind arrive."""

    control: socket.socket
    reaped: socket.socket
    single: socket.socket


class IdleSpec(Struct, frozen=True):
    """number: identifies the process. reaped: its job gets a reaper. uid, gid: the zygote's, also valid in a new namespace.

    other_processes: how many other processes this user has; None if the kernel counts the job's own separately.
    """

    number: int
    reaped: bool
    own_namespaces: bool
    uid: int
    gid: int
    other_processes: int | None = None
    group: Cgroup | None = None


def run_idle_process(
    spec: IdleSpec, plan: WorkerPlan, sockets: Sockets, taken_writer: int, foreign_descriptors: Iterable[int]
) -> NoReturn:
    """Runs in the process that was just forked; ends it. foreign_descriptors: what only the zygote may hold."""
    try:
        signal.set_wakeup_fd(-1)
        if spec.own_namespaces:
            namespaces.set_up_process(plan.proc_descriptor, spec.uid, spec.gid, hidden=plan.hidden)
            die_with_parent()
        on_start = partial(_report_taken, taken_writer, spec.number)
        unused = [*foreign_descriptors, sockets.control.detach(), plan.proc_descriptor]
        if spec.reaped:
            unused.append(sockets.single.detach())
            prepare = partial(plan.prepare_reaped, spec.other_processes)
            work = partial(supervise_job, sockets.reaped, plan.build_limits, prepare, on_start, spec.group)
        else:
            unused.append(sockets.reaped.detach())
            work = partial(_run_single, sockets.single, plan.prepare_single, on_start)
        for each in unused:
            os.close(each)
        for number in RESET_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        work()
        os._exit(0)
    finally:
        os._exit(1)


def redirect_to_null(number: int) -> None:
    """Replaces a descriptor by /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    os.close(null)


def _report_taken(taken_writer: int, number: int) -> None:
    os.write(taken_writer, TAKEN_MESSAGE.pack(number))
    os.close(taken_writer)


def _run_single(
    jobs: socket.socket, prepare: Callable[[], Callable[[bytes], None]], on_start: Callable[[], None]
) -> None:
    redirect_to_null(2)
    work = prepare()
    job = fd_passing.receive(jobs)
    if job is None:
        return
    jobs.close()
    on_start()
    payload, [stdout] = job
    os.dup2(stdout, 1)
    os.close(stdout)
    work(payload)
