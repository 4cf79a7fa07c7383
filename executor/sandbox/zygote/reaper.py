"""Keeps one job: forks its process ahead of time, watches it, and ends all that it started, wherever that went.

Law: when `keep` returns, no process of the job lives. The keeper is what orphans come to (prctl(2),
PR_SET_CHILD_SUBREAPER), so a second fork and a session of its own do not leave it; and it is outside of the sandbox,
so the job can't signal it. Where it can be, it is the first process of a PID namespace: should it be killed, the kernel ends
the job. Should the executor end, the control socket is closed, and so does the job. What the job's
process says to its keeper no program says in its name: that way is closed when a program takes its place.
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

from executor.sandbox import namespaces
from executor.sandbox.cgroups import Cgroup
from executor.sandbox.libc import LIBC, PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG
from executor.sandbox.zygote import fd_passing, processes

TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LIMIT_CHECK_INTERVAL = 0.1
# Room in folders is soon taken, and soon asked for.
DISK_CHECK_INTERVAL = 0.02
KILL_RETRY_INTERVAL = 0.001
TERMINATE_GRACE_PERIOD = 1.0

# What is said to a keeper; what was said before is taken back.
MAX_LAST_MESSAGE_BYTES = 128 * 1024
RETRACTION = b"-"

# What was asked for, and the descriptor on which its keeper is told what to hand on.
type Work = Callable[[bytes, int], None]


class JobLimits(Struct, frozen=True):
    """What is looked at while it runs. timeout: seconds; memory: bytes of all its processes; folders, disk: what they may lose.

    processes: how many it may have, where the kernel can't count them apart. files: how many it may make in the folders.
    """

    timeout: float
    memory: int
    folders: tuple[str, ...] = ()
    disk: int = 0
    processes: int = 0
    files: int = 0


class JobExit(Struct, frozen=True):
    """How it ended. returncode: its exit status, or minus the signal. over: the limit that it went over.

    said: what its process told the keeper before a program took its place.
    """

    returncode: int
    timed_out: bool = False
    exceeded_limit: str = ""
    last_message: bytes = b""


_limits_decoder = msgspec.msgpack.Decoder(JobLimits)


def supervise_job(
    jobs: socket.socket,
    build_limits: Callable[[bytes], JobLimits],
    prepare: Callable[[], Work],
    on_start: Callable[[], None],
    group: Cgroup | None = None,
) -> None:
    """Fork a process that waits for a job and does it; watch it to its end, and tell the job's control socket how it was.

    ready: called in that process before it waits; it gives back what does the job. began: called when a job came.
    group: where the job is.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    mine, childs = fd_passing.make_pair()
    pid = group.fork() if group else os.fork()
    if pid == 0:
        try:
            mine.close()
            os.setsid()
            die_with_parent()
            _run_child(jobs, childs, build_limits, prepare)
        finally:
            os._exit(127)
    childs.close()
    jobs.close()
    with mine:
        told = fd_passing.receive(mine)
        if told is None:
            return
        on_start()
        watch, [number] = told
        with socket.socket(fileno=number) as control:
            ended = _watch_job(control, _limits_decoder.decode(watch), pid)
            if group:
                ended = structs.replace(ended, exceeded_limit=ended.exceeded_limit or group.find_exceeded_limit())
                group.destroy()
            kill_descendants()
            said = _read_last_message(mine)
            with contextlib.suppress(OSError):
                control.sendall(msgspec.msgpack.encode(structs.replace(ended, last_message=said) if said else ended))


def _read_last_message(mine: socket.socket) -> bytes:
    """What the job's process said last, and did not take back. Nobody is left who could say more."""
    last = b""
    while said := mine.recv(MAX_LAST_MESSAGE_BYTES):
        last = said
    return b"" if last == RETRACTION else last


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _run_child(
    jobs: socket.socket,
    reaper_socket: socket.socket,
    build_limits: Callable[[bytes], JobLimits],
    prepare: Callable[[], Work],
) -> None:
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    work = prepare()
    told = fd_passing.receive(jobs)
    if told is None:
        return
    jobs.close()
    asked, (control, *stdio) = told
    fd_passing.send(reaper_socket, msgspec.msgpack.encode(build_limits(asked)), [control])
    os.close(control)
    for number, each in enumerate(stdio):
        os.dup2(each, number)
        os.close(each)
    work(asked, reaper_socket.fileno())


def _watch_job(control: socket.socket, limits: JobLimits, pid: int) -> JobExit:
    me = namespaces.read_outer_pid()
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(control, select.POLLIN)
    start = time.monotonic()
    free = [_measure_free(folder) for folder in limits.folders]
    pause = DISK_CHECK_INTERVAL if limits.folders else LIMIT_CHECK_INTERVAL
    due = start + LIMIT_CHECK_INTERVAL
    timed_out, over = False, ""
    while True:
        now = time.monotonic()
        left = start + limits.timeout + (TERMINATE_GRACE_PERIOD if timed_out else 0) - now
        ready = [descriptor for descriptor, _ in poll.poll(max(0, min(left, pause)) * 1000)]
        if process in ready:
            break
        if left <= 0 and not timed_out:
            timed_out = True
            _signal_all(signal.SIGTERM)
        elif control.fileno() in ready or left <= 0 or (over := _find_exceeded_disk_limit(limits, free)):
            break
        elif now >= due:
            due = now + LIMIT_CHECK_INTERVAL
            if over := _find_exceeded_limit(limits, me):
                break
    if process not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return JobExit(os.waitstatus_to_exitcode(status), timed_out, over)


def _find_exceeded_limit(limits: JobLimits, me: int) -> str:
    """The limit that its processes are over; nothing if they are over none. me: this process, in /proc."""
    below = processes.list_descendants(me)
    if sum(processes.read_resident_bytes(each) for each in below) > limits.memory:
        return "memory"
    return "processes" if limits.processes and len(below) > limits.processes else ""


def _find_exceeded_disk_limit(limits: JobLimits, free: list[tuple[int, int]]) -> str:
    """What the job has taken too much of in its folders; nothing if it has not. free: what they had at first."""
    for folder, before in zip(limits.folders, free, strict=True):
        now = _measure_free(folder)
        if limits.disk and before[0] - now[0] > limits.disk:
            return "disk"
        if limits.files and before[1] - now[1] > limits.files:
            return "files"
    return ""


def _signal_all(number: int) -> None:
    """Send a signal to every process of the job."""
    if namespaces.is_init():
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
        return
    for each in processes.list_descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def kill_descendants() -> None:
    """End every process below this one, however many it makes of itself meanwhile."""
    while _has_children():
        if namespaces.is_init():
            # The kernel does it in one step, in which no process can be made.
            _signal_all(signal.SIGKILL)
            time.sleep(KILL_RETRY_INTERVAL)
            continue
        processes.kill_tree(os.getpid(), include_root=False)
        time.sleep(KILL_RETRY_INTERVAL)


def _has_children() -> bool:
    """Whether one lives, or is stopped; those that ended are done with. What comes to an orphan comes here too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _measure_free(folder: str) -> tuple[int, int]:
    """How many bytes and how many files there is room for. Where files are not counted, none are."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0, 0
    return state.f_bavail * state.f_frsize, state.f_favail
