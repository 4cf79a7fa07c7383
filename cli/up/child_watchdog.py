"""The watchdog of programs that are started here: they tell it that they live as they tell systemd (sd_notify(3)).

Invariants: the kernel says who tells, so no other process can keep a program that stands still alive.
"""

import asyncio
import contextlib
import secrets
import socket
import struct

WATCHDOG_MESSAGE = b"WATCHDOG=1"
MAX_MESSAGE_BYTES = 4096
UCRED = struct.Struct("3i")


class ChildWatchdog:
    """Mutable: when each process last told that it lives. seconds: how long one may be silent; 0 is for ever."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last_pings: dict[int, float] = {}
        # Of no folder: a program that came down from root reaches it too.
        self._name = f"claude-api-server/{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._socket.bind(f"\0{self._name}")

    def build_environment(self) -> dict[str, str]:
        """Returns what tells a program where its signs of life go, and how often."""
        if not self._seconds:
            return {}
        return {"NOTIFY_SOCKET": f"@{self._name}", "WATCHDOG_USEC": str(int(self._seconds * 1_000_000))}

    def is_stalled(self, pid: int) -> bool:
        """Whether a process that gave a sign of life has given none for too long."""
        self._read_messages()
        last = self._last_pings.get(pid)
        return last is not None and asyncio.get_running_loop().time() - last > self._seconds

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _read_messages(self) -> None:
        now = asyncio.get_running_loop().time()
        with contextlib.suppress(BlockingIOError):
            while True:
                data, extra, _, _ = self._socket.recvmsg(MAX_MESSAGE_BYTES, socket.CMSG_SPACE(UCRED.size))
                for level, kind, value in extra:
                    if data == WATCHDOG_MESSAGE and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                        pid, _, _ = UCRED.unpack(value)
                        self._last_pings[pid] = now
