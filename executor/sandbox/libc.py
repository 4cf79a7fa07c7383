"""Calls into the C library: a failed call raises OSError, and a fork may use flags that os.fork has not."""

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38

LIBC = ctypes.CDLL(None, use_errno=True)
# The interpreter's lock must stay in place while the process is copied.
_LIBC_WITH_GIL = ctypes.PyDLL(None, use_errno=True)


def check_call(result: int) -> int:
    """Returns the result of a call. Raises OSError if the call failed."""
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def forbid_new_privileges() -> None:
    """Sets no_new_privs for this thread and everything it starts. Raises OSError."""
    check_call(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def fork(number: int, *arguments: object) -> int:
    """Forks by the system call `number`, as os.fork does by its own. Only one thread may run. Raises OSError."""
    api = ctypes.pythonapi
    api.PyOS_BeforeFork()
    pid = int(_LIBC_WITH_GIL.syscall(number, *arguments))
    if pid == 0:
        api.PyOS_AfterFork_Child()
        return 0
    error = ctypes.get_errno()
    api.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return pid
