"""Runs the tools executor as if an attacker had it: in its own process, once it serves, all sorts of things are tried.

usage: python -m tests.support.compromised_executor CONFINED UID --role tools …    CONFINED: `yes`, or `no` to compare

What went through is written on stderr, as one line of JSON after `TRIED `. Each is harmless where it goes through.
"""

import asyncio
import ctypes
import json
import mmap
import os
import signal
import socket
import sys
import threading
import zoneinfo
from collections.abc import Callable
from pathlib import Path

from executor.sandbox.libc import LIBC
from executor.sandbox.seccomp.system_calls import CALLS
from shared.process.peers import get_peer
from tests.support.as_user import main

# Without arguments that make sense: what is not forbidden fails in another way.
FORBIDDEN_CALLS = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "keyctl", "add_key", "request_key"),
    *("io_uring_setup", "userfaultfd", "unshare", "setns", "name_to_handle_at", "shmget", "msgget", "semget"),
    *("inotify_init1", "pidfd_open", "execveat", "personality"),
)
FORBIDDEN_ERRNOS = (1, 38)


def call_syscall(name: str) -> None:
    """Make this call. Raises OSError if it is forbidden."""
    number = CALLS[name]
    # -1 is no address, no descriptor and no process.
    if LIBC.syscall(number, *[ctypes.c_long(-1)] * 6) < 0 and ctypes.get_errno() in FORBIDDEN_ERRNOS:
        raise OSError(ctypes.get_errno(), name)


def fork_process() -> None:
    """Make a process."""
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def find_zygote() -> int:
    """The process that jobs come from."""
    return int(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[0])


def list_attacks() -> dict[str, Callable[[], object]]:
    """What an attacker would do with an executor."""
    allowed = os.environ["ALLOWED_PATHS"].split(",")[0]
    outside = f"{Path(allowed).parent}/outside"
    run = os.environ["RUN_DIR"]
    made = os.O_WRONLY | os.O_CREAT
    return {
        "read outside": lambda: Path(f"{outside}/secret.txt").read_text(),
        "read accounts": lambda: Path("/etc/passwd").read_text(),
        "read an allowed path": lambda: Path(f"{allowed}/a.txt").read_text(),
        "list an allowed path": lambda: list(Path(allowed).iterdir()),
        "write outside": lambda: os.close(os.open(f"{outside}/new", made)),
        "write beside the socket": lambda: os.close(os.open(f"{run}/new", made)),
        "read another process": lambda: Path(f"/proc/{os.getppid()}/cmdline").read_text(),
        "run a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "make a process": fork_process,
        "signal another process": lambda: os.kill(find_zygote(), 0),
        "connect": lambda: socket.socket(socket.AF_UNIX).connect(f"{run}/tools-1.sock"),
        "memory both written and run": lambda: mmap.mmap(-1, 4096, prot=7).close(),
        **{f"a socket of {family.name}": lambda family=family: socket.socket(family, socket.SOCK_DGRAM).close()
           for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)},
        **{name: lambda name=name: call_syscall(name) for name in FORBIDDEN_CALLS},
    }  # fmt: skip


def start_thread() -> None:
    """Make a thread."""
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def list_permitted_operations() -> dict[str, Callable[[], object]]:
    """What the executor does itself, or its libraries for it."""
    mine, other = socket.socketpair()
    return {
        "a thread": start_thread,
        "the time of a place": lambda: zoneinfo.ZoneInfo("UTC"),
        "a signal to itself": lambda: signal.raise_signal(signal.SIGWINCH),
        "who is there": lambda: get_peer(mine),
        "a descriptor handed on": lambda: socket.send_fds(other, [b"x"], [0]),
        "a socket of a service manager": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).close(),
        "an empty input": lambda: os.close(os.open(os.devnull, os.O_RDONLY)),
        "what it is itself": lambda: Path("/proc/self/status").read_text(),
    }


def list_succeeded(trials: dict[str, Callable[[], object]]) -> list[str]:
    """Those that succeed."""
    found: list[str] = []
    for name, trial in trials.items():
        try:
            trial()
        except (OSError, ImportError):
            continue
        found.append(name)
    return found


def install_hook(confined: str) -> None:
    """Have it tried when it serves."""
    from executor.server import Server  # noqa: PLC0415 # after the fork
    from executor.tools import start  # noqa: PLC0415

    serve = Server.serve

    async def tried(self: Server, sock: socket.socket) -> None:
        serving = asyncio.ensure_future(serve(self, sock))
        await asyncio.sleep(0.1)
        said = {
            "attacks": list_succeeded(list_attacks()),
            "works": list_succeeded(list_permitted_operations()),
            "all": [*list_attacks(), *list_permitted_operations()],
        }
        print("TRIED", json.dumps(said), file=sys.stderr, flush=True)
        await serving

    Server.serve = tried
    if confined == "no":
        start.self_confinement.confine_self = lambda *_: None


if __name__ == "__main__":
    confined = sys.argv.pop(1)
    sys.exit(main(lambda: install_hook(confined)))
