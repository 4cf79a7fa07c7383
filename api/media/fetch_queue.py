"""Which fetches may be under way at the same time: some in all, and fewer for each key."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import Semaphore

# Of one key.
MAX_FETCHES_PER_KEY = 4


class FetchQueue:
    """Mutable: the fetches under way and those that wait, by key."""

    def __init__(self, most: int) -> None:
        self._all = Semaphore(most)
        self._keys: dict[str, tuple[Semaphore, int]] = {}

    @asynccontextmanager
    async def acquire(self, key: str) -> AsyncGenerator[None]:
        """Wait until another fetch of this key's may begin; it ends with the block."""
        own, users = self._keys.get(key, (Semaphore(MAX_FETCHES_PER_KEY), 0))
        self._keys[key] = own, users + 1
        try:
            async with own, self._all:
                yield
        finally:
            _, users = self._keys[key]
            if users == 1:
                del self._keys[key]
            else:
                self._keys[key] = own, users - 1
