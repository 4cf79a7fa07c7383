"""Protects this process's memory: no core file, and no access by other processes of the same user.

Invariants: child processes inherit the limit for core files; an exec resets the dumpable flag. The process itself can still
read /proc/self (proc(5)).
"""

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4


def disable() -> None:
    """Disables core files of this process and its children."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory() -> None:
    """Denies other processes of the same user access to this one's memory, environment and descriptors."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
