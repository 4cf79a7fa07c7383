"""What is asked, and the descriptors that go with it, from one process to another. (unix(7), SCM_RIGHTS)

Law: a message is taken whole, by exactly one of those who wait for it; what is too large for one goes beside it, as a file in
memory. Nothing is imported on the way: it is used inside of the sandbox.
"""

import importlib
import os
import socket
from collections.abc import Sequence

# What socket.recv_fds would import.
importlib.import_module("array")

INLINE = 16 * 1024
DESCRIPTORS = 6
WITHIN, BESIDE = b"w", b"b"


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def give(sock: socket.socket, asked: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError."""
    if len(asked) < INLINE:
        socket.send_fds(sock, [WITHIN, asked], descriptors)
        return
    held = _in_memory(asked)
    try:
        socket.send_fds(sock, [BESIDE], [held, *descriptors])
    finally:
        os.close(held)


def take(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """The next message, and its descriptors; None when the other end was closed."""
    said, descriptors, _, _ = socket.recv_fds(sock, INLINE, DESCRIPTORS)
    if not said:
        return None
    if said[:1] == WITHIN:
        return said[1:], descriptors
    held, *rest = descriptors
    try:
        return _whole(held), rest
    finally:
        os.close(held)


def _in_memory(data: bytes) -> int:
    """A file descriptor from which the data can be read."""
    descriptor = os.memfd_create("job")
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _whole(descriptor: int) -> bytes:
    """All of a file in memory."""
    size = os.fstat(descriptor).st_size
    found = bytearray()
    while len(found) < size:
        found += os.pread(descriptor, size - len(found), len(found))
    return bytes(found)
