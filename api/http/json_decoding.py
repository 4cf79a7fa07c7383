"""Decodes request bodies outside of the event loop, so that a large one delays only its own key.

Invariants: the event loop decodes bodies up to `MAX_INLINE_BYTES`. A thread decodes larger ones: one thread for each key,
and `DECODER_THREADS` in all. A body has at most `MAX_JSON_VALUES` JSON values, which bounds its time and memory: Python
objects take a hundred times the memory of their text.
"""

from collections.abc import Callable
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, Lock, to_thread

from api.core.problems import Problem

MAX_INLINE_BYTES = 16 * 1024
DECODER_THREADS = 2
MAX_JSON_VALUES = 300_000
# Bytes that are scanned without a pause for other threads.
SCAN_CHUNK_BYTES = 256 * 1024


class BodyDecoder:
    """Mutable: the keys whose bodies are being decoded or wait."""

    def __init__(self, threads: int = DECODER_THREADS) -> None:
        self._threads = CapacityLimiter(threads)
        # A lock is forgotten when nobody holds it or waits for it.
        self._key_locks = WeakValueDictionary[str, Lock]()

    async def decode[T](self, owner: str, body: bytes, read: Callable[[bytes], T], most: int = MAX_JSON_VALUES) -> T:
        """Returns `read(body)`. owner: the id of its key. Raises Problem (413), and what `read` raises."""
        if len(body) <= MAX_INLINE_BYTES:
            return read(body)
        async with self._key_locks.setdefault(owner, Lock()):
            return await to_thread.run_sync(_decode, body, read, most, limiter=self._threads)

    async def run_in_thread[T](self, owner: str, work: Callable[[], T]) -> T:
        """Returns `work()`, called in a thread. owner: as for `decode`. Raises what `work` raises."""
        async with self._key_locks.setdefault(owner, Lock()):
            return await to_thread.run_sync(work, limiter=self._threads)


def _decode[T](body: bytes, read: Callable[[bytes], T], most: int) -> T:
    if has_more_values(body, most):
        message = f"The request has more than {most} JSON values. Send fewer messages, parts or fields."
        raise Problem(413, "request_too_large", message)
    return read(body)


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a JSON text has more than `most` values, judged by its commas and brackets outside of strings."""
    count, at, inside = 0, 0, 0
    while at < len(body) and count <= most:
        end = min(at + SCAN_CHUNK_BYTES, len(body))
        # A piece never ends between a backslash and the escaped character.
        while end < len(body) and body[end - 1] == ord("\\"):
            end += 1
        parts = body[at:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[inside::2])
        count += sum(outside.count(mark) for mark in (b",", b"[", b"{"))
        inside ^= (len(parts) - 1) & 1
        at = end
    return count > most
