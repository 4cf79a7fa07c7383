"""What the zygote's processes do, as values: the work of each kind of process, and the sockets they take jobs from."""

import socket
from collections.abc import Callable

from msgspec import Struct

from executor.sandbox.cgroups import CgroupTree
from executor.sandbox.zygote.job_limits import JobLimits
from executor.sandbox.zygote.reaper import Work


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
