"""Several jobs as one: their events as they come, each with the number of the job it belongs to.

Law: one that fails ends all; closing ends all.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from shared.events import Event, Failed

type Numbered = tuple[int, Event]


async def side_by_side(jobs: Sequence[AsyncGenerator[Event]]) -> AsyncGenerator[Numbered]:
    """The events of all jobs, until each has ended or one has failed."""
    awaited = {asyncio.ensure_future(anext(job)): number for number, job in enumerate(jobs)}
    try:
        while awaited:
            done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = awaited.pop(task)
                if isinstance(task.exception(), StopAsyncIteration):
                    continue
                event = task.result()
                yield number, event
                if isinstance(event, Failed):
                    return
                awaited[asyncio.ensure_future(anext(jobs[number]))] = number
    finally:
        for task in awaited:
            task.cancel()
        await asyncio.gather(*awaited, return_exceptions=True)
        for job in jobs:
            await job.aclose()
