"""Forks a process into a new PID namespace and a new user namespace. (pid_namespaces(7), user_namespaces(7))

Invariants: when the first process of a PID namespace ends, for whatever reason, the kernel ends all others. The kernel
counts the processes of a user namespace separately from the user's others (Linux 5.14). No capability is left in either.
"""

import os
import signal

from executor.sandbox import libc, privileges
from executor.sandbox.libc import LIBC
from shared.process import core_dumps
from shared.process.core_dumps import PR_SET_DUMPABLE

CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
INIT_PID = 1
# The version of Landlock of Linux 5.19, which counts the processes of a user namespace separately.
SEPARATE_COUNT_ABI = 2
NAMESPACES_UNAVAILABLE = (
    "The kernel does not end a command whose reaper is killed, and counts the processes of all commands together: "
    "PID namespaces can't be made here. Allow user namespaces. A service manager or a container engine ends the "
    "remaining processes when the executor ends"
)


def fork_into_namespaces() -> int:
    """Forks as os.fork, but the new process is the first of new namespaces. Only one thread may run. Raises OSError."""
    flags = os.CLONE_NEWUSER | os.CLONE_NEWPID | signal.SIGCHLD
    return libc.fork(CLONE_NUMBERS[os.uname().machine], flags, 0, 0, 0, 0)


def open_proc() -> int:
    """Returns a descriptor of /proc for `map_own_user`. Opened before the remounts, it stays writable. Raises OSError."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def set_up_process(proc_descriptor: int, uid: int, gid: int, *, hidden: bool = True) -> None:
    """Makes a new process the same user as outside, without any capability. Must run first in it. Raises OSError."""
    map_own_user(proc_descriptor, uid, gid)
    privileges.drop_capabilities()
    if hidden:
        core_dumps.hide_memory()


def map_own_user(proc_descriptor: int, uid: int, gid: int) -> None:
    """Makes a process in a new user namespace the same user and group as outside. Raises OSError."""
    # A process may write its own maps only while it is dumpable.
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_descriptor)
        os.write(descriptor, line.encode())
        os.close(descriptor)


def find_problem(proc_descriptor: int) -> str:
    """Tries to fork into namespaces. Returns why that fails on this host; empty if it does not."""
    uid, gid = os.getuid(), os.getgid()
    try:
        pid = fork_into_namespaces()
    except (OSError, KeyError):
        return NAMESPACES_UNAVAILABLE
    if pid == 0:
        try:
            set_up_process(proc_descriptor, uid, gid)
            os._exit(0 if os.getpid() == INIT_PID and os.getuid() == uid else 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return NAMESPACES_UNAVAILABLE if status else ""


def is_init() -> bool:
    """Whether this process is the first of a PID namespace: a signal to all processes then reaches only those of it."""
    return os.getpid() == INIT_PID
