"""What /proc tells of processes, and the end of a tree of them. Numbers are those of its PID namespace."""

import contextlib
import os
import signal
from pathlib import Path

HIDDEN_PROCESS_ALLOWANCE = 32
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def list_descendants(pid: int) -> list[int]:
    """The processes below this one."""
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
    """The processes that this one has."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(each) for each in (task / "children").read_text().split()}
    return found


def read_resident_bytes(pid: int) -> int:
    """How many bytes of memory it has; none if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE
    except (OSError, IndexError):
        return 0


def kill_tree(pid: int, *, include_root: bool = True) -> None:
    """End every process below this one, and this one."""
    top = {pid} if include_root else set[int]()
    seen: set[int] = set()
    # Those that are stopped make no new ones.
    while more := {*top, *list_descendants(pid)} - seen:
        for each in more:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)
        seen |= more
    for each in seen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def count_user_processes() -> int:
    """How many processes and threads this user has: the kernel's limit counts them all."""
    me = os.getuid()
    count = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 # names
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == me:  # noqa: PTH116
                    count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
    # Those that may not be looked into (the executor's own) are shown as root's.
    return count + HIDDEN_PROCESS_ALLOWANCE
