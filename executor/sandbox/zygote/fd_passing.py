"""Sends messages with file descriptors from one process to another. (unix(7), SCM_RIGHTS)

Invariants: exactly one of the waiting processes gets a message, and gets it completely; a message over MAX_INLINE_BYTES
travels as a file in memory. Nothing is imported at run time: the functions also run inside the sandbox.
"""

import importlib
import os
import socket
from collections.abc import Sequence

# socket.recv_fds would import it.
importlib.import_module("array")

MAX_INLINE_BYTES = 16 * 1024
MAX_DESCRIPTORS = 6
INLINE_MARK, MEMFD_MARK = b"w", b"b"


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Returns two connected sockets that keep message boundaries."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Sends a message. Raises OSError."""
    if len(message) < MAX_INLINE_BYTES:
        socket.send_fds(sock, [INLINE_MARK, message], descriptors)
        return
    with os.fdopen(os.memfd_create("job"), "wb") as memory:
        memory.write(message)
        memory.flush()
        socket.send_fds(sock, [MEMFD_MARK], [memory.fileno(), *descriptors])


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """Returns the next message and its descriptors; None when the other end was closed."""
    data, descriptors, _, _ = socket.recv_fds(sock, MAX_INLINE_BYTES, MAX_DESCRIPTORS)
    if not data:
        return None
    if data[:1] == INLINE_MARK:
        return data[1:], descriptors
    memory, *rest = descriptors
    with os.fdopen(memory, "rb") as file:
        file.seek(0)
        return file.read(), rest
