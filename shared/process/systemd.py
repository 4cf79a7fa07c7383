"""What systemd gives and is told: sockets that are listening already, credentials as files, and how the program is.

Law: without systemd each of these does nothing. (sd_listen_fds(3), sd_notify(3), systemd.exec(5), Credentials)
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

LISTEN_FDS_START = 3


def take_listen_sockets(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """The sockets handed down to this process, not to one that it starts later."""
    count, meant = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdigit() or meant != str(pid):
        return []
    sockets = [socket.socket(fileno=number) for number in range(LISTEN_FDS_START, LISTEN_FDS_START + int(count))]
    for sock in sockets:
        os.set_inheritable(sock.fileno(), False)
        sock.setblocking(False)
    return sockets


def read_credentials(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that are files in CREDENTIALS_DIRECTORY, without the newline that editors put at the end."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    found: dict[str, str] = {}
    for name in names if folder else ():
        with contextlib.suppress(FileNotFoundError):
            found[name] = (Path(folder or "") / name).read_text(encoding="utf-8").strip()
    return {name: value for name, value in found.items() if value}


def notify(environ: Mapping[str, str], state: str) -> None:
    """Tell how the program is: READY=1, STOPPING=1, WATCHDOG=1."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def parse_watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, half of what is allowed; None if nobody looks for them."""
    allowed, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    return int(allowed) / 2_000_000 if allowed.isdigit() and int(allowed) and meant == str(pid) else None


async def notify_watchdog(environ: Mapping[str, str], pid: int) -> None:
    """Give the signs of life that the watchdog looks for, from the loop that does the work; return if none does."""
    pause = parse_watchdog_interval(environ, pid)
    while pause:
        notify(environ, "WATCHDOG=1")
        await asyncio.sleep(pause)
