"""The reaper of one job: forks the job's process ahead of time, watches it, and ends everything that it started.

Invariants: when `supervise_job` returns, no process of the job lives. Orphans of the job become children of the reaper
(prctl(2), PR_SET_CHILD_SUBREAPER), so a second fork in a new session does not escape it. The reaper is outside of the
sandbox, so the job can't signal it. Where possible, the reaper is the first process of a PID namespace: if it is killed, the
kernel ends the job. If the executor ends, the control socket closes and the reaper ends the job. Only our own code in the
job's process can send the reaper a message: the socket closes when a program takes its place.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct, structs

from executor.sandbox.cgroups import Cgroup
from executor.sandbox.libc import LIBC, PR_SET_CHILD_SUBREAPER
from executor.sandbox.zygote import fd_passing, processes

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LIMIT_CHECK_INTERVAL = 0.1
# A job can fill a disk quickly, and the check is cheap.
DISK_CHECK_INTERVAL = 0.02
TERMINATE_GRACE_PERIOD = 1.0

MAX_LAST_MESSAGE_BYTES = 128 * 1024
# A message that retracts the message before it.
RETRACTION = b"-"

# Does a job. Gets the payload, and the descriptor of the socket to the reaper.
type Work = Callable[[bytes, int], None]


class JobExit(Struct, frozen=True):
    """How a job ended. returncode: its exit status, or minus the signal.

    last_message: what the job's process sent to the reaper before a program took its place.
    """

    returncode: int
    timed_out: bool = False
    exceeded_limit: str = ""
    last_message: bytes = b""


class JobLimits(Struct, frozen=True):
    """What the reaper checks, because the kernel does not enforce it for all processes of a job together.

    timeout: in seconds. memory: bytes of all the job's processes. disk: bytes that the job may take in `folders`.

    processes: how many the job may have, where the kernel can't count them separately. files: how many it may create in
    `folders`.
    """

    timeout: float
    memory: int
    folders: tuple[str, ...] = ()
    disk: int = 0
    processes: int = 0
    files: int = 0


class LimitChecker:
    """Checks the limits of a job against what its folders had free at the start."""

    def __init__(self, limits: JobLimits) -> None:
        self._limits = limits
        # /proc may show another PID namespace than this process's own.
        self._reaper_pid = int(os.readlink("/proc/self"))  # noqa: PTH115 # a number
        self._free_at_start = [_measure_free(folder) for folder in limits.folders]

    def find_exceeded(self) -> str:
        """Returns the limit that the job's processes exceed; empty if they exceed none."""
        pids = processes.list_descendants(self._reaper_pid)
        if sum(map(processes.read_resident_bytes, pids)) > self._limits.memory:
            return "memory"
        return "processes" if self._limits.processes and len(pids) > self._limits.processes else ""

    def find_exceeded_on_disk(self) -> str:
        """Returns the limit that the job exceeds in its folders; empty if it exceeds none."""
        for folder, (free_bytes, free_files) in zip(self._limits.folders, self._free_at_start, strict=True):
            bytes_now, files_now = _measure_free(folder)
            if self._limits.disk and free_bytes - bytes_now > self._limits.disk:
                return "disk"
            if self._limits.files and free_files - files_now > self._limits.files:
                return "files"
        return ""


def _measure_free(folder: str) -> tuple[int, int]:
    """Returns how many bytes and files a folder has room for. A file system that does not count files reports none."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0, 0
    return state.f_bavail * state.f_frsize, state.f_favail


_limits_decoder = msgspec.msgpack.Decoder(JobLimits)


def supervise_job(
    jobs: socket.socket,
    build_limits: Callable[[bytes], JobLimits],
    prepare: Callable[[], Work],
    on_start: Callable[[], None],
    group: Cgroup | None = None,
) -> None:
    """Forks a process that waits for a job and does it, watches it to its end, and writes a JobExit to the control socket.

    prepare: runs in the forked process before it waits; returns what does the job. on_start: runs when a job arrived.
    group: the control group of the job.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own_socket, child_socket = fd_passing.make_pair()
    pid = group.fork() if group else os.fork()
    if pid == 0:
        try:
            own_socket.close()
            os.setsid()
            processes.die_with_parent()
            _run_child(jobs, child_socket, build_limits, prepare)
        finally:
            os._exit(127)
    child_socket.close()
    jobs.close()
    with own_socket:
        started = fd_passing.receive(own_socket)
        if started is None:
            return
        on_start()
        limits, [number] = started
        with socket.socket(fileno=number) as control:
            ended = _watch_job(control, _limits_decoder.decode(limits), pid)
            if group:
                ended = structs.replace(ended, exceeded_limit=ended.exceeded_limit or group.find_exceeded_limit())
                group.destroy()
            processes.kill_descendants()
            ended = structs.replace(ended, last_message=_read_last_message(own_socket))
            with contextlib.suppress(OSError):
                control.sendall(msgspec.msgpack.encode(ended))


def _read_last_message(own_socket: socket.socket) -> bytes:
    """Returns the last message of the job's process, unless it was retracted. No process is left that could send more."""
    last = b""
    while message := own_socket.recv(MAX_LAST_MESSAGE_BYTES):
        last = message
    return b"" if last == RETRACTION else last


def _run_child(
    jobs: socket.socket,
    reaper_socket: socket.socket,
    build_limits: Callable[[bytes], JobLimits],
    prepare: Callable[[], Work],
) -> None:
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    work = prepare()
    job = fd_passing.receive(jobs)
    if job is None:
        return
    jobs.close()
    payload, (control, *stdio) = job
    fd_passing.send(reaper_socket, msgspec.msgpack.encode(build_limits(payload)), [control])
    os.close(control)
    for number, each in enumerate(stdio):
        os.dup2(each, number)
        os.close(each)
    work(payload, reaper_socket.fileno())


def _watch_job(control: socket.socket, limits: JobLimits, pid: int) -> JobExit:
    """Waits until the job ends, exceeds a limit, or the executor closes the control socket."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(control, select.POLLIN)
    start = time.monotonic()
    checker = LimitChecker(limits)
    interval = DISK_CHECK_INTERVAL if limits.folders else LIMIT_CHECK_INTERVAL
    next_check = start + LIMIT_CHECK_INTERVAL
    timed_out, exceeded = False, ""
    while True:
        now = time.monotonic()
        left = start + limits.timeout + (TERMINATE_GRACE_PERIOD if timed_out else 0) - now
        ready = [descriptor for descriptor, _ in poll.poll(max(0, min(left, interval)) * 1000)]
        if process in ready:
            break
        if left <= 0 and not timed_out:
            timed_out = True
            processes.signal_descendants(signal.SIGTERM)
        elif control.fileno() in ready or left <= 0 or (exceeded := checker.find_exceeded_on_disk()):
            break
        elif now >= next_check:
            next_check = now + LIMIT_CHECK_INTERVAL
            if exceeded := checker.find_exceeded():
                break
    if process not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return JobExit(os.waitstatus_to_exitcode(status), timed_out, exceeded)
