"""Several jobs run at once as one; what ends one badly ends all, and nothing is left running."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from api.executors.stream_merger import NumberedEvent, merge_streams
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, TextDelta, Usage
from tests.support.timeouts import TEST_TIMEOUT

DONE = Done("end_turn", Usage())
FAILED = Failed(ErrorKind.UPSTREAM)


class Job:
    """A job under the test's hand. Mutable: what it is yet to say, and whether it was closed."""

    def __init__(self, *events: Event) -> None:
        self.closed = False
        self._queue: asyncio.Queue[Event | Exception] = asyncio.Queue()
        for event in events:
            self.say(event)

    def say(self, event: Event | Exception) -> None:
        self._queue.put_nowait(event)

    async def run(self) -> AsyncGenerator[Event]:
        try:
            while True:
                event = await self._queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Done | Failed):
                    return
        finally:
            self.closed = True


async def following(stream: AsyncGenerator[NumberedEvent]) -> NumberedEvent:
    async with asyncio.timeout(TEST_TIMEOUT):
        return await anext(stream)


@pytest.mark.wire(15)
async def test_events_come_as_they_happen_with_the_number_of_their_job():
    """No job waits for another."""
    one, two = Job(), Job()
    stream = merge_streams([one.run(), two.run()])
    two.say(TextDelta("b"))
    assert await following(stream) == (1, TextDelta("b"))
    one.say(TextDelta("a"))
    assert await following(stream) == (0, TextDelta("a"))
    two.say(DONE)
    assert await following(stream) == (1, DONE)
    one.say(TextDelta("c"))
    assert await following(stream) == (0, TextDelta("c"))
    one.say(DONE)
    assert await following(stream) == (0, DONE)
    assert await anext(stream, None) is None
    assert one.closed
    assert two.closed


async def test_each_jobs_order_is_kept_and_nothing_is_lost():
    """Whatever the mixture."""
    jobs = [Job(*(TextDelta(f"{job}.{number}") for number in range(20)), DONE) for job in range(5)]
    came = [numbered async for numbered in merge_streams([job.run() for job in jobs])]
    for number in range(5):
        mine = [event for job, event in came if job == number]
        assert mine == [*(TextDelta(f"{number}.{count}") for count in range(20)), DONE]


async def test_one_job_is_just_itself():
    """The usual case."""
    assert [one async for one in merge_streams([Job(TextDelta("a"), DONE).run()])] == [(0, TextDelta("a")), (0, DONE)]


@pytest.mark.wire(36)
async def test_one_that_fails_ends_all():
    """Its failure is the last event, and the others are closed where they are."""
    jobs = [Job(TextDelta("a")), Job(FAILED), Job()]
    came = [numbered async for numbered in merge_streams([job.run() for job in jobs])]
    assert came[-1] == (1, FAILED)
    assert sum(isinstance(event, Failed) for _, event in came) == 1
    assert [job.closed for job in jobs if job is not jobs[2]] == [True, True]


@pytest.mark.wire(39)
async def test_closing_ends_every_job():
    """A client that disconnected: also jobs that were in the middle of waiting."""
    jobs = [Job(TextDelta("a")), Job(TextDelta("b")), Job(TextDelta("c"))]
    stream = merge_streams([job.run() for job in jobs])
    await following(stream)
    await stream.aclose()
    assert all(job.closed for job in jobs)


async def test_a_fault_in_one_closes_the_others_and_is_raised():
    """It is ours to log, not to hide."""
    one, two = Job(), Job()
    stream = merge_streams([one.run(), two.run()])
    one.say(ValueError("bug"))
    with pytest.raises(ValueError, match="bug"):
        await following(stream)
    assert one.closed
    assert two.closed
