"""Reads what is in request bodies beside the event loop, so that a large one makes nobody wait but its own key.

Law: what the loop does itself is bounded by `AT_ONCE` bytes. Anything larger is read by a thread: one for each key, and
`THREADS` in all. A body has no more than `MOST_VALUES` JSON values, which bounds the time and the memory that it takes:
objects of Python cost a hundred times as much as the text that they stand for.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, Lock, to_thread

from api.core.problems import Problem

MAX_INLINE_BYTES = 16 * 1024
DECODER_THREADS = 2
MAX_JSON_VALUES = 300_000
# Bytes that are looked at without a pause for other threads.
SCAN_CHUNK_BYTES = 256 * 1024


class BodyDecoder:
    """Mutable: whose bodies are read now, or wait for it."""

    def __init__(self, threads: int = DECODER_THREADS) -> None:
        self._threads = CapacityLimiter(threads)
        self._key_locks: dict[str, tuple[Lock, int]] = {}

    async def decode[T](self, owner: str, body: bytes, read: Callable[[bytes], T], most: int = MAX_JSON_VALUES) -> T:
        """What `read` makes of a body. owner: the id of its key. Raises Problem (413), and what `read` raises."""
        if len(body) <= MAX_INLINE_BYTES:
            return read(body)
        async with self._hold_key_lock(owner):
            return await to_thread.run_sync(_decode, body, read, most, limiter=self._threads)

    async def run_in_thread[T](self, owner: str, work: Callable[[], T]) -> T:
        """What `work` returns, done in a thread. owner: as for `run`. Raises what `work` raises."""
        async with self._hold_key_lock(owner):
            return await to_thread.run_sync(work, limiter=self._threads)

    @asynccontextmanager
    async def _hold_key_lock(self, owner: str) -> AsyncGenerator[None]:
        lock, users = self._key_locks.get(owner, (Lock(), 0))
        self._key_locks[owner] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            _, users = self._key_locks[owner]
            if users == 1:
                del self._key_locks[owner]
            else:
                self._key_locks[owner] = lock, users - 1


def _decode[T](body: bytes, read: Callable[[bytes], T], most: int) -> T:
    if has_more_values(body, most):
        message = f"The request has more than {most} JSON values. Send fewer messages, parts or fields."
        raise Problem(413, "request_too_large", message)
    return read(body)


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text has more values than this, as far as its commas and brackets outside of strings tell."""
    count, at, inside = 0, 0, 0
    while at < len(body) and count <= most:
        end = min(at + SCAN_CHUNK_BYTES, len(body))
        # A piece never ends between a backslash and what it escapes.
        while end < len(body) and body[end - 1] == ord("\\"):
            end += 1
        parts = body[at:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[inside::2])
        count += sum(outside.count(mark) for mark in (b",", b"[", b"{"))
        inside ^= (len(parts) - 1) & 1
        at = end
    return count > most
