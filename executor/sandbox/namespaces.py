"""A process in a PID namespace and a user namespace of its own. (pid_namespaces(7), user_namespaces(7))

Invariants: the kernel ends every process of a PID namespace when its first one ends, however that ends; and it counts the
processes of a user namespace apart from the user's others (Linux 5.14). No capability is left in either.
"""

import ctypes
import os
import signal

from executor.sandbox import landlock, privileges
from executor.sandbox.landlock import LIBC

NEW_USER, NEW_PID = 0x10000000, 0x20000000
CLONE = {"x86_64": 56, "aarch64": 220}
FIRST = 1
# Landlock's second version came with Linux 5.19.
COUNTS_APART = 2
LACK = (
    "The kernel does not end a command whose keeper is killed, and counts the processes of all commands together: "
    "namespaces of processes can't be made here. Allow user namespaces; a service manager or a container's engine ends "
    "what is left when the executor ends"
)

# As LIBC, but the interpreter's lock stays where it is while a process is copied.
_HOLDING = ctypes.PyDLL(None, use_errno=True)


def fork() -> int:
    """As os.fork, but the new process is the first of its own namespaces. Only one thread may run. Raises OSError."""
    number = CLONE[os.uname().machine]
    api = ctypes.pythonapi
    api.PyOS_BeforeFork()
    pid = int(_HOLDING.syscall(number, NEW_USER | NEW_PID | signal.SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    error = ctypes.get_errno()
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return pid


def proc() -> int:
    """A descriptor of /proc, by which `settle` can write. Taken before mounts are laid, it stays what it was. Raises OSError."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def settle(held: int, uid: int, gid: int, *, hidden: bool = True) -> None:
    """Called first in such a process: be the same user as outside, and give up every capability. Raises OSError.

    held: of `proc`.
    """
    # Its own maps are only its to write while it may be looked into.
    LIBC.prctl(privileges.PR_SET_DUMPABLE, 1, 0, 0, 0)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=held)
        os.write(descriptor, line.encode())
        os.close(descriptor)
    privileges.give_up()
    if hidden:
        privileges.hide()


def lack(held: int) -> str:
    """Why processes can't have namespaces of their own here; nothing if they can. It tries. held: of `proc`."""
    uid, gid = os.getuid(), os.getgid()
    try:
        pid = fork()
    except (OSError, KeyError):
        return LACK
    if pid == 0:
        try:
            settle(held, uid, gid)
            os._exit(0 if os.getpid() == FIRST and os.getuid() == uid else 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return LACK if status else ""


def first() -> bool:
    """Whether this process is the first of a PID namespace: signals to all reach the others of it, and nobody else."""
    return os.getpid() == FIRST


def counts_apart() -> bool:
    """Whether this kernel counts the processes of a user namespace apart."""
    return landlock.abi() >= COUNTS_APART


def outer_pid() -> int:
    """What this process is called in /proc, which may show another PID namespace. Raises OSError."""
    return int(os.readlink("/proc/self"))  # noqa: PTH115 # a number
