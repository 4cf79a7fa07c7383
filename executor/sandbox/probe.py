"""Tries attacks from inside a sandbox, a command's or the CLI's, to find those that this host does not stop.

Invariants: each trial is harmless if it succeeds; a restriction counts only if its trial fails.
"""

import contextlib
import mmap
import os
import socket
from collections.abc import Callable, Iterable, Iterator

from executor.sandbox import privileges

FORBIDDEN_FILE = "/etc/passwd"

type Trial = tuple[str, Callable[[], object]]


def find_unblocked(trials: Iterable[Trial]) -> list[str]:
    """Returns the names of the trials that succeeded."""
    return [name for name, trial in trials if _succeeds(trial)]


def list_command_trials() -> Iterator[Trial]:
    """Yields trials of actions that are forbidden to commands."""
    yield from _list_common_trials()
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
        yield f"a socket of {family.name}", lambda family=family: socket.socket(family, socket.SOCK_DGRAM).close()
    yield (
        "memory both written and run",
        lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    )
    yield "root", lambda: _require(0 in os.getresuid())


def list_cli_trials(port: int, outside: str, *, dns: bool) -> Iterator[Trial]:
    """Yields trials of actions that are forbidden to the CLI.

    port: a listening port of loopback. outside: a folder outside of the sandbox. dns: the CLI may use UDP.
    """
    yield from _list_common_trials()
    yield "writing a file outside", lambda: _create_file(f"{outside}/trial")
    yield "TCP to another port", lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close()
    yield "TCP Fast Open", lambda: _send_fast_open(port)
    yield "MPTCP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP).close()
    yield "listening on a port", lambda: socket.create_server(("127.0.0.1", 0)).close()
    if not dns:
        yield "UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    yield "a capability", lambda: _require(privileges.has_capabilities())


def _list_common_trials() -> Iterator[Trial]:
    yield "reading a file outside", lambda: os.close(os.open(FORBIDDEN_FILE, os.O_RDONLY))
    yield "listing a folder outside", lambda: os.listdir("/etc")  # noqa: PTH208
    yield "running a program", lambda: _run_program("/usr/bin/env")
    yield "the environment of the executor", lambda: os.close(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY))
    yield "a Unix socket", lambda: socket.socket(socket.AF_UNIX).close()
    yield "a socket pair", lambda: [end.close() for end in socket.socketpair()]
    yield "a file in memory", lambda: os.close(os.memfd_create("probe"))
    yield "a signal to the executor", lambda: os.kill(os.getppid(), 0)
    yield "a new namespace", lambda: os.unshare(os.CLONE_NEWUSER)


def _run_program(path: str) -> None:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            os.execve(path, [path, "-i", path, "-i"], {})  # noqa: S606
        os._exit(126)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 126:
        raise PermissionError


def _require(condition: bool) -> None:  # noqa: FBT001 # the only argument
    if not condition:
        raise PermissionError


def _create_file(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))


def _send_fast_open(port: int) -> None:
    with socket.socket() as client:
        client.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port))


def _succeeds(trial: Callable[[], object]) -> bool:
    try:
        trial()
    except (OSError, ValueError):
        return False
    return True
