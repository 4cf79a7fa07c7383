"""A response under way: told to whoever follows it, ended when it is cancelled, kept when it is over."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.openai_responses.decode import decode
from api.dialects.openai_responses.encode import Cancellation, FinishedResponse, ResponsesEncoder
from api.dialects.openai_responses.output_items import ResponsesOutputOptions
from api.dialects.openai_responses.running_responses import (
    RunningResponse,
    RunningResponses,
    replay_events,
    wait_until_accepted,
)
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import build_response
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, TextDelta, Usage
from tests.support.dialects_under_test import parse_events

type Kept = list[tuple[FinishedResponse, tuple[bytes, ...]]]

WHOLE: list[Event] = [Started("claude-x"), TextDelta("one "), TextDelta("two"), Done("end_turn", Usage())]


class Job:
    """A job that says one event at each `go`. Mutable: what it may say, and whether it was ended."""

    def __init__(self, events: list[Event]) -> None:
        self.gates: asyncio.Queue[None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self._events = events

    def go(self, number: int = 1) -> None:
        for _ in range(number):
            self.gates.put_nowait(None)

    async def run(self) -> AsyncGenerator[tuple[int, Event]]:
        try:
            for event in self._events:
                await self.gates.get()
                self.gates.task_done()
                yield 0, event
        finally:
            self.ended.set()


def live(kept: Kept, *, background: bool = True) -> RunningResponse:
    call = decode(b'{"input": "Hi"}', Policy(), ResponseStore(0, 0, 1).for_key("owner"))
    response = build_response("resp_1", 1_700_000_000, "sonnet", call)
    return RunningResponse(
        lambda finished: ResponsesEncoder(response, ResponsesOutputOptions(), lambda: 1_700_000_001, finished),
        lambda finished, events: kept.append((finished, events)),
        background=background,
    )


async def every(events: AsyncGenerator[tuple[int, bytes]]) -> list[bytes]:
    return [event async for _, event in events]


async def test_whoever_follows_is_told_everything_from_where_they_were():
    """Several at once, early or late; each event is one piece, and what is kept are the very same."""
    kept: Kept = []
    job, running, one = Job(WHOLE), RunningResponses(), live(kept)
    running.start_background("owner", "resp_1", one, job.run())
    assert running.get("owner", "resp_1") is one
    assert running.get("other", "resp_1") is None
    early = asyncio.create_task(every(one.follow(-1)))
    job.go(4)
    await one.ended.wait()
    everything = await early
    assert [(data or {})["sequence_number"] for _, data in parse_events(b"".join(everything))] == list(
        range(len(everything))
    )
    assert await every(one.follow(2)) == everything[3:]
    [(finished, events)] = kept
    assert list(events) == everything == await every(replay_events(events, -1))
    assert await every(replay_events(events, 2)) == everything[3:]
    assert finished.response.status == "completed"
    await asyncio.sleep(0)
    assert running.get("owner", "resp_1") is None


@pytest.mark.parametrize("said", [0, 1, 3])
async def test_cancelling_ends_the_job_and_keeps_what_was_said(said: int):
    """At any time; the last event says so."""
    kept: Kept = []
    job, running, one = Job(WHOLE), RunningResponses(), live(kept)
    running.start_background("owner", "resp_1", one, job.run())
    job.go(said)
    await job.gates.join()
    await one.cancel()
    assert job.ended.is_set()
    [(finished, events)] = kept
    assert finished.response.status == "cancelled"
    assert json.loads(one.encoder.encode_answer())["status"] == "cancelled"
    assert parse_events(events[-1])[0][0] == "response.incomplete"


async def test_one_that_is_waited_for_is_found_while_it_lasts_and_kept_before_its_last_event():
    """Closing its events, as at a disconnect, ends its job and stores nothing."""
    kept: Kept = []
    job, running, one = Job(WHOLE), RunningResponses(), live(kept, background=False)
    job.go(4)
    seen: list[Event | Cancellation] = []
    async for _, event in running.stream_events("owner", "resp_1", one, job.run()):
        assert running.get("owner", "resp_1") is one
        one.encoder.encode_event(event)
        seen.append(event)
    assert seen == WHOLE
    assert [finished.response.status for finished, _ in kept] == ["completed"]
    assert running.get("owner", "resp_1") is None
    job, one = Job(WHOLE), live(kept, background=False)
    job.go(2)
    events = running.stream_events("owner", "resp_1", one, job.run())
    await anext(events)
    await events.aclose()
    assert job.ended.is_set()
    assert one.ended.is_set()
    assert len(kept) == 1


async def test_one_that_is_refused_at_once_is_not_begun():
    """Its client is told; one that waits for its turn, or is admitted, goes on whole."""
    refused = Job([Failed(ErrorKind.KEY_LIMIT, "3 requests a minute", retry_after=7.0)])
    refused.go()
    with pytest.raises(Problem) as problem:
        await wait_until_accepted(refused.run())
    assert (problem.value.status, problem.value.build_headers()["retry-after"]) == (429, "7")
    assert refused.ended.is_set()
    job = Job(WHOLE)
    job.go(len(WHOLE))
    assert [event async for _, event in await wait_until_accepted(job.run())] == WHOLE
    assert job.ended.is_set()


async def test_closing_ends_what_is_in_the_background():
    """The programs end; nobody could look it up afterwards."""
    job, running = Job(WHOLE), RunningResponses()
    running.start_background("owner", "resp_1", live([]), job.run())
    job.go()
    await job.gates.join()
    await running.close()
    assert job.ended.is_set()
