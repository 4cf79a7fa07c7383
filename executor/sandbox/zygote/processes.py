"""Reads /proc for processes, and ends a tree of them. Process ids are those of the PID namespace of /proc."""

import contextlib
import os
import signal
import time
from pathlib import Path

HIDDEN_PROCESS_ALLOWANCE = 32
COUNT_MAX_AGE = 1.0
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def list_descendants(pid: int) -> list[int]:
    """Returns the descendants of a process."""
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):  # noqa: PTH208 # names
                children = Path(f"/proc/{parent}/task/{task}/children").read_text()
                new = [int(each) for each in children.split()]
                found += new
                todo += new
    return found


def list_children(pid: int) -> set[int]:
    """Returns the children of a process."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(each) for each in (task / "children").read_text().split()}
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


def count_user_processes() -> int:
    """Returns how many processes and threads this user has: the kernel's limit counts both."""
    me = os.getuid()
    count = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 # names
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == me:  # noqa: PTH116
                    count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    # Processes that are not dumpable (the executor's own) are shown as root's.
    return count + HIDDEN_PROCESS_ALLOWANCE


class ProcessCounter:
    """Counts this user's processes, at most once per COUNT_MAX_AGE: a count takes as long as a short job.

    Mutable: the count, and when the next one is due.
    """

    def __init__(self) -> None:
        self._total = 0
        self._recount_at = 0.0

    def count(self) -> int:
        """Returns the count, which may be COUNT_MAX_AGE seconds old."""
        now = time.monotonic()
        if now >= self._recount_at:
            self._total = count_user_processes()
            self._recount_at = now + COUNT_MAX_AGE
        return self._total
