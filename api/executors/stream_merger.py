"""Merges the async generators of several jobs, tagging each item with its job.

Invariants: closing the merged generator closes all jobs. An exception of one job is raised here.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from shared.events import Event, Failed

type NumberedEvent = tuple[int, Event]


class StreamMerger[K, T]:
    """Merges the items of jobs. Mutable: the running jobs; more can be added."""

    def __init__(self) -> None:
        self._jobs: dict[K, AsyncGenerator[T]] = {}
        self._tasks: dict[asyncio.Future[T], K] = {}

    def add(self, key: K, job: AsyncGenerator[T]) -> None:
        """Adds a job. It is closed at its end, or with the others."""
        self._jobs[key] = job
        self._tasks[asyncio.ensure_future(anext(job))] = key

    async def merge(self) -> AsyncGenerator[tuple[K, T | None]]:
        """Yields each job's items until all jobs have ended, and a None for the end of each."""
        try:
            while self._tasks:
                done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    key = self._tasks.pop(task)
                    if isinstance(task.exception(), StopAsyncIteration):
                        await self._jobs.pop(key).aclose()
                        yield key, None
                        continue
                    yield key, task.result()
                    self._tasks[asyncio.ensure_future(anext(self._jobs[key]))] = key
        finally:
            await self._close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs.values():
            await job.aclose()


async def merge_streams(jobs: Sequence[AsyncGenerator[Event]]) -> AsyncGenerator[NumberedEvent]:
    """Yields the events of all jobs, until each has ended or one has failed. A single job needs no task for an event."""
    if len(jobs) == 1:
        async with aclosing(jobs[0]) as events:
            async for event in events:
                yield 0, event
                if isinstance(event, Failed):
                    return
        return
    merger = StreamMerger[int, Event]()
    for number, job in enumerate(jobs):
        merger.add(number, job)
    async with aclosing(merger.merge()) as steps:
        async for number, event in steps:
            if event is not None:
                yield number, event
            if isinstance(event, Failed):
                return
