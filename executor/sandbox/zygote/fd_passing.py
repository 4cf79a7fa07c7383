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

MAX_INLINE_BYTES = 16 * 1024
MAX_DESCRIPTORS = 6
INLINE_MARK, MEMFD_MARK = b"w", b"b"


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError."""
    if len(message) < MAX_INLINE_BYTES:
        socket.send_fds(sock, [INLINE_MARK, message], descriptors)
        return
    held = _write_memfd(message)
    try:
        socket.send_fds(sock, [MEMFD_MARK], [held, *descriptors])
    finally:
        os.close(held)


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """The next message, and its descriptors; None when the other end was closed."""
    said, descriptors, _, _ = socket.recv_fds(sock, MAX_INLINE_BYTES, MAX_DESCRIPTORS)
    if not said:
        return None
    if said[:1] == INLINE_MARK:
        return said[1:], descriptors
    held, *rest = descriptors
    try:
        return _read_memfd(held), rest
    finally:
        os.close(held)


def _write_memfd(data: bytes) -> int:
    """A file descriptor from which the data can be read."""
    descriptor = os.memfd_create("job")
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _read_memfd(descriptor: int) -> bytes:
    """All of a file in memory."""
    size = os.fstat(descriptor).st_size
    found = bytearray()
    while len(found) < size:
        found += os.pread(descriptor, size - len(found), len(found))
    return bytes(found)
