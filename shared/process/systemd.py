"""The interfaces of systemd: listening sockets, credentials as files, and status notifications.

Invariants: without systemd, none of these functions has an effect. (sd_listen_fds(3), sd_notify(3), systemd.exec(5),
Credentials)
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

LISTEN_FDS_START = 3


def take_listen_sockets(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """Returns the sockets that were passed to this process; removes their variables, so that child processes do not see them."""
    count, target = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdigit() or target != str(pid):
        return []
    sockets = [socket.socket(fileno=number) for number in range(LISTEN_FDS_START, LISTEN_FDS_START + int(count))]
    for sock in sockets:
        os.set_inheritable(sock.fileno(), False)
        sock.setblocking(False)
    return sockets


def read_credentials(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Returns the contents of the files in CREDENTIALS_DIRECTORY with these names, without a newline at the end."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    found: dict[str, str] = {}
    for name in names if folder else ():
        with contextlib.suppress(FileNotFoundError):
            found[name] = (Path(folder or "") / name).read_text(encoding="utf-8").strip()
    return {name: value for name, value in found.items() if value}


def notify(environ: Mapping[str, str], state: str) -> None:
    """Sends a status: READY=1, STOPPING=1 or WATCHDOG=1."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def parse_watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Returns the seconds between two signs of life, half of the allowed time; None without a watchdog."""
    allowed, target = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    return int(allowed) / 2_000_000 if allowed.isdigit() and int(allowed) and target == str(pid) else None


async def notify_watchdog(environ: Mapping[str, str], pid: int) -> None:
    """Sends the watchdog signs of life, from the event loop that does the work. Returns at once without a watchdog."""
    pause = parse_watchdog_interval(environ, pid)
    while pause:
        notify(environ, "WATCHDOG=1")
        await asyncio.sleep(pause)
