"""What this host really stops, tried from inside the sandbox. It runs in a job's process, and returns what was not stopped.

Law: each trial is harmless where it succeeds; nothing is taken as held because a call said so.
"""

import contextlib
import ctypes
import mmap
import os
import socket
from collections.abc import Callable, Iterator

from executor.sandbox.landlock import LIBC

FORBIDDEN = "/etc/passwd"
NEW_USER = 0x10000000
UNKEPT = 0x7FFFFFFF


def not_stopped() -> list[str]:
    """The names of the trials that succeeded."""
    return [name for name, trial in _trials() if _succeeds(trial)]


def _trials() -> Iterator[tuple[str, Callable[[], object]]]:
    yield "reading a file outside", lambda: os.close(os.open(FORBIDDEN, os.O_RDONLY))
    yield "listing a folder outside", lambda: os.listdir("/etc")  # noqa: PTH208
    yield "running a program", lambda: _runs("/usr/bin/env")
    yield "the environment of the executor", lambda: os.close(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY))
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
        yield f"a socket of {family.name}", lambda family=family: socket.socket(family, socket.SOCK_DGRAM).close()
    yield "a socket pair", lambda: [each.close() for each in socket.socketpair()]
    yield "a file in memory", lambda: os.close(os.memfd_create("probe"))
    yield "a signal to the executor", lambda: os.kill(os.getppid(), 0)
    yield (
        "memory both written and run",
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    )
    yield "a namespace of its own", lambda: _called(LIBC.unshare(NEW_USER))
    yield "root", _root


def _runs(path: str) -> None:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            os.execve(path, [path, "-i", path, "-i"], {})  # noqa: S606
        os._exit(126)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 126:
        raise PermissionError


def _root() -> None:
    if 0 not in os.getresuid():
        raise PermissionError


def _called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _succeeds(trial: Callable[[], object]) -> bool:
    try:
        trial()
    except (OSError, ValueError):
        return False
    return True
