"""Ends the processes below this one, however many they start meanwhile."""

import contextlib
import os
import signal
import time

from executor.sandbox import namespaces
from executor.sandbox.libc import LIBC, PR_SET_PDEATHSIG
from executor.sandbox.zygote import processes

KILL_RETRY_INTERVAL = 0.001


def die_with_parent() -> None:
    """Makes the kernel kill this process when the process that forked it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def signal_descendants(number: int) -> None:
    """Sends a signal to every process below this one."""
    if namespaces.is_init():
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
        return
    for each in processes.list_descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def kill_descendants() -> None:
    """Kills every process below this one. Returns when none is left."""
    while _has_children():
        if namespaces.is_init():
            # The kernel does this in one step, during which no process can start another.
            signal_descendants(signal.SIGKILL)
        else:
            processes.kill_tree(os.getpid(), include_root=False)
        time.sleep(KILL_RETRY_INTERVAL)


def _has_children() -> bool:
    """Reaps the children that ended. Returns whether one still runs or is stopped; orphans become children too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
