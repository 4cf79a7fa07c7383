"""Reads what is in request bodies beside the event loop, so that a large one makes nobody wait but its own key.

Law: what the loop does itself is bounded by `AT_ONCE` bytes. Anything larger is read by a thread: one for each key, and
`THREADS` in all. A body has no more than `MOST_VALUES` JSON values, which bounds the time and the memory that it takes:
objects of Python cost a hundred times as much as the text that they stand for.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, Lock, to_thread

from api.core.problems import Problem

AT_ONCE = 16 * 1024
THREADS = 2
MOST_VALUES = 300_000
# Bytes that are looked at without a pause for other threads.
PIECE = 256 * 1024


class Decoding:
    """Mutable: whose bodies are read now, or wait for it."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = CapacityLimiter(threads)
        self._keys: dict[str, tuple[Lock, int]] = {}

    async def run[T](self, owner: str, body: bytes, read: Callable[[bytes], T], most: int = MOST_VALUES) -> T:
        """What `read` makes of a body. owner: the id of its key. Raises Problem (413), and what `read` raises."""
        if len(body) <= AT_ONCE:
            return read(body)
        async with self._turn(owner):
            return await to_thread.run_sync(_read, body, read, most, limiter=self._threads)

    async def call[T](self, owner: str, work: Callable[[], T]) -> T:
        """What `work` returns, done in a thread. owner: as for `run`. Raises what `work` raises."""
        async with self._turn(owner):
            return await to_thread.run_sync(work, limiter=self._threads)

    @asynccontextmanager
    async def _turn(self, owner: str) -> AsyncGenerator[None]:
        lock, users = self._keys.get(owner, (Lock(), 0))
        self._keys[owner] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._keys[owner]
            if users == 1:
                del self._keys[owner]
            else:
                self._keys[owner] = lock, users - 1


def _read[T](body: bytes, read: Callable[[bytes], T], most: int) -> T:
    if has_more_values(body, most):
        message = f"The request has more than {most} JSON values. Send fewer messages, parts or fields."
        raise Problem(413, "request_too_large", message)
    return read(body)


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text has more values than this, as far as its commas and brackets outside of strings tell."""
    count, at, inside = 0, 0, 0
    while at < len(body) and count <= most:
        end = min(at + PIECE, len(body))
        # A piece never ends between a backslash and what it escapes.
        while end < len(body) and body[end - 1] == ord("\\"):
            end += 1
        parts = body[at:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[inside::2])
        count += sum(outside.count(mark) for mark in (b",", b"[", b"{"))
        inside ^= (len(parts) - 1) & 1
        at = end
    return count > most
