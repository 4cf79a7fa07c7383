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
from executor.sandbox.cgroups import Group
from executor.sandbox.landlock import LIBC
from executor.sandbox.zygote import fd_passing, processes

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
OF_TERMINALS = (signal.SIGINT, signal.SIGTERM)
PAUSE = 0.1
# Room in folders is soon taken, and soon asked for.
PAUSE_OF_FOLDERS = 0.02
PAUSE_TO_DIE = 0.001
GRACE = 1.0

# What is said to a keeper; what was said before is taken back.
MOST_SAID = 128 * 1024
TAKEN_BACK = b"-"

# What was asked for, and the descriptor on which its keeper is told what to hand on.
type Work = Callable[[bytes, int], None]


class Watch(Struct, frozen=True):
    """What is looked at while it runs. timeout: seconds; memory: bytes of all its processes; folders, disk: what they may lose.

    processes: how many it may have, where the kernel can't count them apart. files: how many it may make in the folders.
    """

    timeout: float
    memory: int
    folders: tuple[str, ...] = ()
    disk: int = 0
    processes: int = 0
    files: int = 0


class Ended(Struct, frozen=True):
    """How it ended. returncode: its exit status, or minus the signal. over: the limit that it went over.

    said: what its process told the keeper before a program took its place.
    """

    returncode: int
    timed_out: bool = False
    over: str = ""
    said: bytes = b""


_watch = msgspec.msgpack.Decoder(Watch)


def keep(
    jobs: socket.socket,
    watching: Callable[[bytes], Watch],
    ready: Callable[[], Work],
    began: Callable[[], None],
    group: Group | None = None,
) -> None:
    """Fork a process that waits for a job and does it; watch it to its end, and tell the job's control socket how it was.

    ready: called in that process before it waits; it gives back what does the job. began: called when a job came.
    group: where the job is.
    """
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    mine, childs = fd_passing.pair()
    pid = group.fork() if group else os.fork()
    if pid == 0:
        try:
            mine.close()
            os.setsid()
            end_with_parent()
            _child(jobs, childs, watching, ready)
        finally:
            os._exit(127)
    childs.close()
    jobs.close()
    with mine:
        told = fd_passing.take(mine)
        if told is None:
            return
        began()
        watch, [number] = told
        with socket.socket(fileno=number) as control:
            ended = _watched(control, _watch.decode(watch), pid)
            if group:
                ended = structs.replace(ended, over=ended.over or group.over())
                group.end()
            end_all()
            said = _last_said(mine)
            with contextlib.suppress(OSError):
                control.sendall(msgspec.msgpack.encode(structs.replace(ended, said=said) if said else ended))


def _last_said(mine: socket.socket) -> bytes:
    """What the job's process said last, and did not take back. Nobody is left who could say more."""
    last = b""
    while said := mine.recv(MOST_SAID):
        last = said
    return b"" if last == TAKEN_BACK else last


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _child(
    jobs: socket.socket, keeper: socket.socket, watching: Callable[[bytes], Watch], ready: Callable[[], Work]
) -> None:
    for number in OF_TERMINALS:
        signal.signal(number, signal.SIG_DFL)
    work = ready()
    told = fd_passing.take(jobs)
    if told is None:
        return
    jobs.close()
    asked, (control, *stdio) = told
    fd_passing.give(keeper, msgspec.msgpack.encode(watching(asked)), [control])
    os.close(control)
    for number, each in enumerate(stdio):
        os.dup2(each, number)
        os.close(each)
    work(asked, keeper.fileno())


def _watched(control: socket.socket, watch: Watch, pid: int) -> Ended:
    me = namespaces.outer_pid()
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(control, select.POLLIN)
    start = time.monotonic()
    free = [_free(folder) for folder in watch.folders]
    pause = PAUSE_OF_FOLDERS if watch.folders else PAUSE
    due = start + PAUSE
    timed_out, over = False, ""
    while True:
        now = time.monotonic()
        left = start + watch.timeout + (GRACE if timed_out else 0) - now
        ready = [descriptor for descriptor, _ in poll.poll(max(0, min(left, pause)) * 1000)]
        if process in ready:
            break
        if left <= 0 and not timed_out:
            timed_out = True
            _signal_all(signal.SIGTERM)
        elif control.fileno() in ready or left <= 0 or (over := _taken(watch, free)):
            break
        elif now >= due:
            due = now + PAUSE
            if over := _exceeded(watch, me):
                break
    if process not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return Ended(os.waitstatus_to_exitcode(status), timed_out, over)


def _exceeded(watch: Watch, me: int) -> str:
    """The limit that its processes are over; nothing if they are over none. me: this process, in /proc."""
    below = processes.descendants(me)
    if sum(processes.resident(each) for each in below) > watch.memory:
        return "memory"
    return "processes" if watch.processes and len(below) > watch.processes else ""


def _taken(watch: Watch, free: list[tuple[int, int]]) -> str:
    """What the job has taken too much of in its folders; nothing if it has not. free: what they had at first."""
    for folder, before in zip(watch.folders, free, strict=True):
        now = _free(folder)
        if watch.disk and before[0] - now[0] > watch.disk:
            return "disk"
        if watch.files and before[1] - now[1] > watch.files:
            return "files"
    return ""


def _signal_all(number: int) -> None:
    """Send a signal to every process of the job."""
    if namespaces.first():
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
        return
    for each in processes.descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def end_all() -> None:
    """End every process below this one, however many it makes of itself meanwhile."""
    while _has_children():
        if namespaces.first():
            # The kernel does it in one step, in which no process can be made.
            _signal_all(signal.SIGKILL)
            time.sleep(PAUSE_TO_DIE)
            continue
        processes.end_tree(os.getpid(), itself=False)
        time.sleep(PAUSE_TO_DIE)


def _has_children() -> bool:
    """Whether one lives, or is stopped; those that ended are done with. What comes to an orphan comes here too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _free(folder: str) -> tuple[int, int]:
    """How many bytes and how many files there is room for. Where files are not counted, none are."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return 0, 0
    return state.f_bavail * state.f_frsize, state.f_favail
