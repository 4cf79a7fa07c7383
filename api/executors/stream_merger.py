"""Merges async generators, tagging each item with its source.

Invariants: closing the merged stream closes all sources. An exception of one source is raised to the reader.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from shared.events import Event, Failed

type NumberedEvent = tuple[int, Event]


class StreamMerger[K, T]:
    """Merges streams as their items arrive. Mutable: the open streams; more may be added."""

    def __init__(self) -> None:
        self._jobs: dict[K, AsyncGenerator[T]] = {}
        self._awaited: dict[asyncio.Future[T], K] = {}

    def add(self, key: K, job: AsyncGenerator[T]) -> None:
        """Adds a stream. It is closed when it has ended, or with all others."""
        self._jobs[key] = job
        self._awaited[asyncio.ensure_future(anext(job))] = key

    async def merge(self) -> AsyncGenerator[tuple[K, T | None]]:
        """Yields the items of each stream, and None at its end, until all have ended. Closing this closes them."""
        try:
            while self._awaited:
                done, _ = await asyncio.wait(self._awaited, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    key = self._awaited.pop(task)
                    if isinstance(task.exception(), StopAsyncIteration):
                        await self._jobs.pop(key).aclose()
                        yield key, None
                        continue
                    step = task.result()
                    yield key, step
                    self._awaited[asyncio.ensure_future(anext(self._jobs[key]))] = key
        finally:
            await self._close()

    async def _close(self) -> None:
        for task in self._awaited:
            task.cancel()
        await asyncio.gather(*self._awaited, return_exceptions=True)
        for job in self._jobs.values():
            await job.aclose()


async def merge_streams(jobs: Sequence[AsyncGenerator[Event]]) -> AsyncGenerator[NumberedEvent]:
    """Yields the events of all jobs, until each has ended or one has failed."""
    merger = StreamMerger[int, Event]()
    for number, job in enumerate(jobs):
        merger.add(number, job)
    async with aclosing(merger.merge()) as steps:
        async for number, event in steps:
            if event is not None:
                yield number, event
            if isinstance(event, Failed):
                return
