"""Responses in progress: clients can look them up, follow and cancel them. Background responses need no open request.

Invariants: a cancelled response ends its job at once and is stored as cancelled. A key finds only its own responses.
"""

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable

from api.core.problems import problem_from_failure
from api.dialects.openai_common import render_error
from api.dialects.openai_responses.encode import Cancellation, FinishedResponse, ResponsesEncoder
from api.http.event_stream import failures_as_events
from shared.events import Event, Failed

CANCEL_TIMEOUT = 5.0

type NumberedStep = tuple[int, Event | Cancellation]


class RunningResponse:
    """A response in progress. Mutable: whether it is cancelled, and the events of its stream so far.

    build_encoder: builds the encoder, which reports the end. store: stores a response that has ended, with the events of
    its stream. stored: later requests may look it up. background: it continues without an open request. ended: it has
    ended, and is stored.
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
        # A strong reference would be a cycle, which keeps both in memory until the next garbage collection.
        finish = weakref.WeakMethod(self.finish)
        self.encoder = build_encoder(lambda finished: (notify := finish()) and notify(finished))
        self.sent_events: list[bytes] = []
        self.ended = asyncio.Event()
        self._store = store
        self._finished: FinishedResponse | None = None
        self._stop = asyncio.Event()
        self._changed = asyncio.Condition()

    def finish(self, finished: FinishedResponse) -> None:
        """Stores the finished response, or keeps it until its last event is recorded."""
        # A background response is stored with its events, and the last one is not recorded yet.
        if self.background:
            self._finished = finished
        else:
            self._store(finished, ())

    async def cancel(self) -> None:
        """Ends the response and waits for its end, at most CANCEL_TIMEOUT: its client may have stopped reading."""
        self._stop.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_TIMEOUT):
                await self.ended.wait()

    async def stream_events(self, job: AsyncGenerator[tuple[int, Event]]) -> AsyncGenerator[NumberedStep]:
        """Yields the events of the job until the response is cancelled. Closing the generator ends the job."""
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
        """Runs the job of a background response and stores the result."""
        async for _, event in failures_as_events(self.stream_events(job)):
            await self._publish(self.encoder.encode_event(event))
        if self._finished:
            self._store(self._finished, tuple(self.sent_events))
        self.ended.set()
        await self._publish(b"")

    async def _publish(self, data: bytes) -> None:
        async with self._changed:
            self.sent_events += [event + b"\n\n" for event in data.split(b"\n\n")[:-1]]
            self._changed.notify_all()

    async def follow(self, after: int) -> AsyncGenerator[tuple[int, bytes]]:
        """Yields the events of the stream from number `after` + 1 on, until the response has ended."""
        position = after + 1
        while events := await self._wait_for_events(position):
            for event in events:
                yield 0, event
            position += len(events)

    async def _wait_for_events(self, position: int) -> list[bytes]:
        """Returns the events from this position on, once there are any; none if the response ends without more."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sent_events) > position or self.ended.is_set())
            return self.sent_events[position:]


async def wait_until_accepted(job: AsyncGenerator[tuple[int, Event]]) -> AsyncGenerator[tuple[int, Event]]:
    """Returns the same job once it is admitted or queued. Raises Problem if it is refused before."""
    first = await anext(job)
    if isinstance(first[1], Failed):
        await job.aclose()
        raise problem_from_failure(first[1])

    async def resume() -> AsyncGenerator[tuple[int, Event]]:
        async with contextlib.aclosing(job):
            yield first
            async for step in job:
                yield step

    return resume()


class RunningResponses:
    """All responses in progress. Mutable: the responses, and the tasks of the background responses."""

    def __init__(self) -> None:
        self._live: dict[tuple[str, str], RunningResponse] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<RunningResponses [{len(self._live)} in progress, {len(self._tasks)} in the background]>"

    def get(self, key: str, response_id: str) -> RunningResponse | None:
        """Returns a response of this key that is in progress."""
        return self._live.get((key, response_id))

    async def stream_events(
        self, key: str, response_id: str, live: RunningResponse, job: AsyncGenerator[tuple[int, Event]]
    ) -> AsyncGenerator[NumberedStep]:
        """Yields the events of a response whose client waits. `get` finds the response until they end."""
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
        """Starts the job of a response in the background."""
        self._live[key, response_id] = live

        def on_done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._live.pop((key, response_id), None)

        task = asyncio.create_task(live.run(job))
        self._tasks.add(task)
        task.add_done_callback(on_done)

    async def close(self) -> None:
        """Cancels all background responses. They are stored in memory only, so they end with this process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class RawEventEncoder:
    """An encoder of events that are already encoded."""

    def encode_event(self, event: bytes | Failed, choice: int = 0) -> bytes:
        """Returns the event unchanged."""
        assert choice == 0
        return event if isinstance(event, bytes) else b""

    def encode_answer(self) -> bytes:
        """Returns nothing: stored events are only sent as a stream."""
        return b""

    encode_error = staticmethod(render_error)


async def replay_events(events: tuple[bytes, ...], after: int) -> AsyncGenerator[tuple[int, bytes]]:
    """Yields the events of a stream that has ended, from number `after` + 1 on."""
    for event in events[after + 1 :]:
        yield 0, event
