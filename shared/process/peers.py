"""Identifies the process at the other end of a Unix socket (unix(7), SO_PEERCRED), and decides whether to trust it.

Invariants: a client uses only a socket that no other user could have created, and only if a process of root, of its own
user or of the socket's owner listens there. An executor serves root, the user that started it, and the group of its socket.
"""

import asyncio
import contextlib
import os
import socket
import stat
import struct
from pathlib import Path

from msgspec import Struct

from shared.process import strict_modes

# Linux's number; Python has no name for it.
SO_PEERGROUPS = 59
MAX_GROUPS = 65536


class UntrustedSocketError(PermissionError):
    """The socket, its folder or the listening process can't be trusted; the message has the reason and the fix."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.strerror = message


class Peer(Struct, frozen=True):
    """The process at the other end, from the kernel. gid: its primary group; it may be in others too."""

    pid: int
    uid: int
    gid: int


class TrustedPeers(Struct, frozen=True):
    """The users and groups that an executor serves."""

    users: frozenset[int]
    groups: frozenset[int]

    def accepts(self, sock: socket.socket) -> bool:
        """Returns whether the process at the other end may send jobs. Raises OSError."""
        peer = get_peer(sock)
        return peer.uid in self.users or not self.groups.isdisjoint({peer.gid, *_list_supplementary_groups(sock)})


def get_peer(sock: socket.socket) -> Peer:
    """Returns the process at the other end. Raises OSError."""
    return Peer(*struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))


def _list_supplementary_groups(sock: socket.socket) -> tuple[int, ...]:
    """Returns the supplementary groups of the process at the other end."""
    for limit in (64, MAX_GROUPS):
        with contextlib.suppress(OSError):
            data = sock.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * limit)
            return struct.unpack(f"{len(data) // 4}I", data)
    return ()


def find_trusted_peers(sock: socket.socket) -> TrustedPeers:
    """Returns the peers of an executor that listens on `sock`. Call it as the user that started the executor."""
    groups = frozenset({os.getegid()})
    name = sock.getsockname()
    if isinstance(name, str) and name:
        with contextlib.suppress(OSError):
            groups = frozenset({Path(name).lstat().st_gid})
    return TrustedPeers(frozenset({0, os.getuid(), os.geteuid()}), groups)


def find_folder_problem(folder: Path, *, any_owner: bool = False) -> str:
    """Returns why a folder of sockets can't be trusted, and the fix; empty if it can."""
    problem = strict_modes.find_problem(folder, any_owner=any_owner)
    return f"RUN_DIR: other users could put a false executor there: {problem}" if problem else ""


def find_socket_problem(path: Path) -> str:
    """Returns why a socket of a trusted folder can't be trusted, and the fix; empty if it can. Raises OSError."""
    return _check_socket(path)[1]


def _check_socket(path: Path) -> tuple[int, str]:
    """Returns the owner of a socket, and why it can't be trusted. Raises OSError."""
    facts, folder = path.lstat(), path.parent.stat()
    if not stat.S_ISSOCK(facts.st_mode):
        return facts.st_uid, f"{path} is not a socket. Remove it."
    # Only the folder's owner or root can have created it.
    if folder.st_uid not in {0, os.geteuid()} and facts.st_uid not in {0, folder.st_uid}:
        owners = f"{strict_modes.user_name(facts.st_uid)}, its folder to {strict_modes.user_name(folder.st_uid)}"
        return facts.st_uid, f"{path} belongs to {owners}. Remove it, and start the executor as the folder's owner."
    return facts.st_uid, ""


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects to an executor in a trusted folder. Raises OSError, UntrustedSocketError."""
    owner, problem = _check_socket(path)
    if problem:
        raise UntrustedSocketError(problem)
    reader, writer = await asyncio.open_unix_connection(str(path))
    peer = get_peer(writer.get_extra_info("socket"))
    if peer.uid in {0, os.geteuid(), owner}:
        return reader, writer
    writer.close()
    names = f"{strict_modes.user_name(peer.uid)} (process {peer.pid})", strict_modes.user_name(owner)
    raise UntrustedSocketError(
        f"{path}: {names[0]} listens there, but the socket belongs to {names[1]}. Stop that process."
    )
