"""Limits the fetches that run at the same time, in total and for each key."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import Semaphore

MAX_FETCHES_PER_KEY = 4


class FetchQueue:
    """Allows `max_fetches` in total and `MAX_FETCHES_PER_KEY` for a key. Mutable: the running and waiting fetches by key."""

    def __init__(self, max_fetches: int) -> None:
        self._all = Semaphore(max_fetches)
        self._keys: dict[str, tuple[Semaphore, int]] = {}

    @asynccontextmanager
    async def acquire(self, key: str) -> AsyncGenerator[None]:
        """Waits until the key may start another fetch; the fetch ends with the block."""
        semaphore, users = self._keys.get(key, (Semaphore(MAX_FETCHES_PER_KEY), 0))
        self._keys[key] = semaphore, users + 1
        try:
            async with semaphore, self._all:
                yield
        finally:
            _, users = self._keys[key]
            if users == 1:
                del self._keys[key]
            else:
                self._keys[key] = semaphore, users - 1
