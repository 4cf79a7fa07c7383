"""Responses under way: they can be looked up, followed and cancelled, and those in the background need nobody to wait.

Invariants: one that is cancelled ends its job at once, and is kept as cancelled; what one key asked for, another can't find.
"""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable

from api.core.problems import Problem, problem_from_failure
from api.dialects.openai_common import render_error
from api.dialects.openai_responses.encode import Cancellation, FinishedResponse, ResponsesEncoder
from api.http.event_stream import failures_as_events
from shared.events import Event, Failed

CANCEL_TIMEOUT = 5.0

type NumberedStep = tuple[int, Event | Cancellation]


class RunningResponse:
    """One response under way. Mutable: whether it is to be cancelled, and what it told so far, event by event.

    made: the encoder, which tells of the end. keep: keeps a response that has ended, with the events of its stream.
    stored: others than who asked may look it up. background: nobody need wait for it.
    over: it has ended, and is kept.
    """

    def __init__(
        self,
        build_encoder: Callable[[Callable[[FinishedResponse], None]], ResponsesEncoder],
        store: Callable[[FinishedResponse, tuple[bytes, ...]], None],
        *,
        stored: bool = True,
        background: bool = False,
    ) -> None:
        self.stored = stored
        self.background = background
        # Each would keep the other, and all that both hold, until the next collection.
        myself = weakref.ref(self)
        self.encoder = build_encoder(lambda finished: _notify_finished(myself(), finished))
        self.sent_events: list[bytes] = []
        self.ended = asyncio.Event()
        self._store = store
        self._finished: FinishedResponse | None = None
        self._stop = asyncio.Event()
        self._changed = asyncio.Condition()

    def finish(self, finished: FinishedResponse) -> None:
        """It has ended like this."""
        # In the background the last event is kept too, which is not told yet.
        if self.background:
            self._finished = finished
        else:
            self._store(finished, ())

    async def cancel(self) -> None:
        """End it, and wait until it has ended; not for ever, where its client reads no further."""
        self._stop.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_TIMEOUT):
                await self.ended.wait()

    async def stream_events(self, job: AsyncGenerator[tuple[int, Event]]) -> AsyncGenerator[NumberedStep]:
        """The events of its job, until it is cancelled; closing them ends the job."""
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            while True:
                step = asyncio.ensure_future(anext(job))
                try:
                    await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    step.cancel()
                    await asyncio.gather(step, return_exceptions=True)
                if step.cancelled():
                    yield 0, Cancellation()
                    return
                if isinstance(step.exception(), StopAsyncIteration):
                    return
                yield step.result()
        finally:
            stop.cancel()
            await job.aclose()

    async def run(self, job: AsyncGenerator[tuple[int, Event]]) -> None:
        """Let it be answered without anyone waiting."""
        async for _, event in failures_as_events(self.stream_events(job)):
            await self._publish(self.encoder.encode_event(event))
        if self._finished:
            self._store(self._finished, tuple(self.sent_events))
        self.ended.set()
        await self._publish(b"")

    async def _publish(self, said: bytes) -> None:
        async with self._changed:
            self.sent_events += [event + b"\n\n" for event in said.split(b"\n\n")[:-1]]
            self._changed.notify_all()

    async def follow(self, after: int) -> AsyncGenerator[tuple[int, bytes]]:
        """The events of its stream, those from number `after` + 1 on, until it has ended."""
        position = after + 1
        while said := await self._wait_for_events(position):
            for event in said:
                yield 0, event
            position += len(said)

    async def _wait_for_events(self, position: int) -> list[bytes]:
        """The events from this one on, as soon as there are some; none when it has ended without."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sent_events) > position or self.ended.is_set())
            return self.sent_events[position:]


def _notify_finished(live: RunningResponse | None, finished: FinishedResponse) -> None:
    if live:
        live.finish(finished)


async def wait_until_accepted(job: AsyncGenerator[tuple[int, Event]]) -> AsyncGenerator[tuple[int, Event]]:
    """The same job once it is admitted or waits for its turn. Raises Problem where it is refused before."""
    first = await anext(job)
    if isinstance(first[1], Failed):
        await job.aclose()
        raise problem_from_failure(first[1])

    async def whole() -> AsyncGenerator[tuple[int, Event]]:
        async with contextlib.aclosing(job):
            yield first
            async for step in job:
                yield step

    return whole()


class RunningResponses:
    """Every response under way. Mutable: these, and the tasks of those in the background."""

    def __init__(self) -> None:
        self._live: dict[tuple[str, str], RunningResponse] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Running [{len(self._live)} under way, {len(self._tasks)} in the background]>"

    def get(self, key: str, response_id: str) -> RunningResponse | None:
        """A response of this key's that is under way."""
        return self._live.get((key, response_id))

    async def stream_events(
        self, key: str, response_id: str, live: RunningResponse, job: AsyncGenerator[tuple[int, Event]]
    ) -> AsyncGenerator[NumberedStep]:
        """The events of a response whose client waits; it can be found until they end."""
        self._live[key, response_id] = live
        events = live.stream_events(job)
        try:
            async for numbered in events:
                yield numbered
        finally:
            await events.aclose()
            live.ended.set()
            self._live.pop((key, response_id), None)

    def start_background(
        self, key: str, response_id: str, live: RunningResponse, job: AsyncGenerator[tuple[int, Event]]
    ) -> None:
        """Answer a response in the background."""
        self._live[key, response_id] = live

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._live.pop((key, response_id), None)

        task = asyncio.create_task(live.run(job))
        self._tasks.add(task)
        task.add_done_callback(over)

    async def close(self) -> None:
        """End all that is in the background: what would be kept of it ends with this process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class RawEventEncoder:
    """An encoder of events that are bytes already."""

    def encode_event(self, event: bytes | Failed, choice: int = 0) -> bytes:
        """The event itself."""
        assert choice == 0
        return event if isinstance(event, bytes) else b""

    def encode_answer(self) -> bytes:
        """Nothing: a stream is followed as a stream only."""
        return b""

    def encode_error(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return render_error(problem)


async def replay_events(events: tuple[bytes, ...], after: int) -> AsyncGenerator[tuple[int, bytes]]:
    """The events of a stream that has ended, those from number `after` + 1 on."""
    for event in events[after + 1 :]:
        yield 0, event
