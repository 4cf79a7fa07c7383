"""Reads /proc for processes, and ends those below this one, however many they start meanwhile.

Process ids are those of the PID namespace of /proc.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from executor.sandbox import namespaces
from executor.sandbox.libc import LIBC, PR_SET_PDEATHSIG

HIDDEN_PROCESS_ALLOWANCE = 32
COUNT_MAX_AGE = 1.0
KILL_RETRY_INTERVAL = 0.001
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def list_children(pid: int) -> set[int]:
    """Returns the children of a process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(each) for each in (task / "children").read_text().split()}
    return found


def list_descendants(pid: int) -> list[int]:
    """Returns the descendants of a process."""
    found = [*list_children(pid)]
    for each in found:
        found += list_children(each)
    return found


def read_resident_bytes(pid: int) -> int:
    """Returns the resident memory of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE
    except (OSError, IndexError):
        return 0


def kill_tree(pid: int, *, include_root: bool = True) -> None:
    """Kills the descendants of a process, and with include_root the process too."""
    top = {pid} if include_root else set[int]()
    seen: set[int] = set()
    # Stopped processes start no new ones.
    while more := {*top, *list_descendants(pid)} - seen:
        for each in more:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)
        seen |= more
    for each in seen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def die_with_parent() -> None:
    """Makes the kernel kill this process when the process that forked it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def signal_descendants(number: int) -> None:
    """Sends a signal to every process below this one."""
    if namespaces.is_init():
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
        return
    for each in list_descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def kill_descendants() -> None:
    """Kills every process below this one. Returns when none is left."""
    while _has_children():
        if namespaces.is_init():
            # The kernel does this in one step, during which no process can start another.
            signal_descendants(signal.SIGKILL)
        else:
            kill_tree(os.getpid(), include_root=False)
        time.sleep(KILL_RETRY_INTERVAL)


def _has_children() -> bool:
    """Reaps the children that ended. Returns whether one still runs or is stopped; orphans become children too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


class ProcessCounter:
    """Counts this user's processes, at most once per COUNT_MAX_AGE: a count takes as long as a short job.

    Mutable: the count, and when the next one is due.
    """

    def __init__(self) -> None:
        self._total = 0
        self._recount_at = 0.0

    def count(self) -> int:
        """Returns how many processes and threads this user has: the kernel's limit counts both."""
        now = time.monotonic()
        if now < self._recount_at:
            return self._total
        # Processes that are not dumpable (the executor's own) are shown as root's.
        self._total = HIDDEN_PROCESS_ALLOWANCE
        for name in os.listdir("/proc"):  # noqa: PTH208 # names
            if name.isdigit():
                with contextlib.suppress(OSError):
                    if os.stat(f"/proc/{name}").st_uid == os.getuid():  # noqa: PTH116
                        self._total += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
        self._recount_at = now + COUNT_MAX_AGE
        return self._total
