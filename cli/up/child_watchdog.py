"""The watchdog of the programs: they send it signs of life in the way that they send them to systemd (sd_notify(3)).

Invariants: the kernel names the sender of each message, so no other process can send signs of life for a stalled program.
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
    """Mutable: the time of each process's last sign of life. seconds: the longest allowed silence; 0 allows any."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last_pings: dict[int, float] = {}
        # An abstract socket has no folder: a program that has given up root reaches it too.
        self._name = f"claude-api-server/{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._socket.bind(f"\0{self._name}")

    def build_environment(self) -> dict[str, str]:
        """Returns the variables that tell a program where to send signs of life, and how often."""
        if not self._seconds:
            return {}
        return {"NOTIFY_SOCKET": f"@{self._name}", "WATCHDOG_USEC": str(int(self._seconds * 1_000_000))}

    def is_stalled(self, pid: int) -> bool:
        """Returns whether a process that sent a sign of life has been silent for too long."""
        self._read_messages()
        last = self._last_pings.get(pid)
        return last is not None and asyncio.get_running_loop().time() - last > self._seconds

    def close(self) -> None:
        """Closes the socket."""
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
