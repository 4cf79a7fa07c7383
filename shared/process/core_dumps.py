"""Keeps this process's memory to itself: it is neither written to a core file, nor read by others of the same user.

Invariants: the limit is inherited by what this process starts; that it is not dumpable ends with an exec. Its own look into
/proc/self goes on working (proc(5)).
"""

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4


def disable() -> None:
    """Write no core file, nor does what this process starts."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory() -> None:
    """Let no process of the same user read this one's memory, environment or descriptors."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
