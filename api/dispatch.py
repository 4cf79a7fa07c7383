"""A Turn's life on this side: find it an executor, hand it over, give back its events, end it early.

Law: the events of a job end in exactly one Done or Failed, whatever happens to the executor; closing the events closes
the connection, and that ends the job.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing, asynccontextmanager
from pathlib import Path

import structlog
from msgspec import structs

from api.asking import Asking
from api.books import Books
from api.drain import Drain
from api.executors import Executors
from api.job_trace import JobTrace
from api.watch import Watcher
from shared.errors import ErrorKind
from shared.events import Admitted, Done, Event, Failed, Queued, Windows
from shared.jobs import JobDone, Output, ToolsStatus
from shared.trace import Tracing
from shared.turn import Text, ToolResult, Turn
from shared.wire import Bring, Do, Status, Submit, ToApi, WireError, frame, read_to_api

CONNECT_TIMEOUT = 5.0
# Another executor may have a place where one has none.
TRY_ELSEWHERE = {ErrorKind.QUEUE_FULL, ErrorKind.DRAINING}

log = structlog.get_logger()


class Dispatch:
    """Hands turns to executors."""

    def __init__(
        self,
        executors: Executors,
        drain: Drain,
        request_timeout: float,
        books: Books,
        *,
        watchers: tuple[Watcher, ...] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self._books = books
        self._executors = executors
        self._drain = drain
        self._request_timeout = request_timeout
        self._watchers = watchers
        self._tracing = tracing or Tracing()
        self._windows: Windows | None = None

    def window_headers(self) -> dict[str, str]:
        """The subscription's usage windows as the service last told of them; times in seconds from now."""
        headers: dict[str, str] = {}
        for window in self._windows.windows if self._windows else ():
            name = f"x-ratelimit-{window.name.replace('_', '-')}"
            if window.utilization is not None:
                headers[f"{name}-utilization"] = f"{window.utilization:g}"
            if window.resets_at is not None:
                headers[f"{name}-reset"] = str(max(0, round(window.resets_at - time.time())))
        return headers

    def run(self, turn: Turn, asking: Asking) -> AsyncGenerator[Event]:
        """The events of a turn. Close the generator to end the job."""
        return self._run(turn, asking, lambda _job: None)

    @asynccontextmanager
    async def hold(self, turn: Turn, asking: Asking) -> AsyncGenerator["Held"]:
        """A turn whose calls' results are brought while it goes on; leaving ends the job. The turn becomes `held`."""
        held = Held()
        held.events = self._run(structs.replace(turn, held=True), asking, held.handed_to)
        try:
            yield held
        finally:
            await held.events.aclose()

    async def _run(self, turn: Turn, asking: Asking, handed_to: Callable[["Job"], None]) -> AsyncGenerator[Event]:
        trace = JobTrace(self._tracing, turn, asking)
        asking = structs.replace(asking, traceparent=trace.traceparent)
        watches = [trace, *(watcher(turn, asking) for watcher in self._watchers)]
        try:
            served = self._events(turn, asking, handed_to)
            async with aclosing(self._books.metered(served, asking, turn.model, length(turn))) as events:
                async for event in events:
                    for watch in watches:
                        watch.see(event)
                    yield event
        finally:
            for watch in watches:
                watch.end()

    async def _events(self, turn: Turn, asking: Asking, handed_to: Callable[["Job"], None]) -> AsyncGenerator[Event]:
        if self._drain.begun:
            yield Failed(ErrorKind.DRAINING, retry_after=1)
            return
        refusal = Failed(ErrorKind.NO_EXECUTOR, retry_after=1)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._request_timeout
        for path in self._executors.by_load():
            connection = await connect(path)
            if connection is None:
                continue
            job = Job(*connection)
            with ExitStack() as stack:
                stack.callback(job.close)
                stack.enter_context(self._executors.job(path))
                stack.enter_context(self._drain.job(job.fail))
                timer = loop.call_at(deadline, job.fail, Failed(ErrorKind.REQUEST_TIMEOUT))
                stack.callback(timer.cancel)
                first = await job.start(turn, asking)
                if isinstance(first, Failed) and first.kind in TRY_ELSEWHERE:
                    refusal = first
                    continue
                handed_to(job)
                log.debug("handed over", executor=path.stem)
                yield first
                event = first
                while not isinstance(event, Done | Failed):
                    event = await job.next()
                    if isinstance(event, Windows):
                        self._windows = event
                    yield event
                return
        yield refusal


class Job:
    """One connection to an executor. Mutable: why we ended it ourselves, if we did."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._reason: Failed | None = None

    async def start(self, turn: Turn, asking: Asking) -> Event:
        """Hand the turn over; its first event."""
        submit = Submit(turn, asking.request_id, asking.key, asking.traceparent)
        return await self.send(submit, ErrorKind.PROMPT_TOO_LONG) or await self.next()

    async def bring(self, result: ToolResult) -> None:
        """Give the executor what a call brought; what goes wrong with it is the job's next event."""
        lost = await self.send(Bring(result), ErrorKind.PROMPT_TOO_LONG)
        if lost and lost.kind is ErrorKind.PROMPT_TOO_LONG:
            self.fail(lost)

    async def next(self) -> Event:
        """The next event; Failed when the executor is lost."""
        event = await self.receive()
        if isinstance(event, Status | ToolsStatus | Output | JobDone):
            return Failed(ErrorKind.EXECUTOR_LOST)
        return event

    async def send(self, message: Submit | Bring | Do, too_large: ErrorKind) -> Failed | None:
        """Send a message; why not, if it could not be. too_large: what a message over the wire's limit is."""
        try:
            self._writer.write(frame(message))
            await self._writer.drain()
        except WireError:
            return Failed(too_large)
        except ConnectionError:
            return self._reason or Failed(ErrorKind.EXECUTOR_LOST)
        return None

    async def receive(self) -> ToApi:
        """What the executor says next; Failed when it is lost, or when we ended the job."""
        try:
            message = await read_to_api(self._reader)
        except (WireError, OSError) as error:
            log.warning("an executor's connection broke", reason=str(error))
            message = None
        if self._reason and not isinstance(message, Done | Failed | JobDone):
            return self._reason
        return Failed(ErrorKind.EXECUTOR_LOST) if message is None else message

    def fail(self, reason: Failed) -> None:
        """End the job here and now; its next event is `reason`."""
        self._reason = self._reason or reason
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection, which ends the job wherever it is."""
        self._writer.transport.abort()


class Held:
    """A held turn under way. events: those of the turn, to be read to the end. Mutable: who does it, once known."""

    events: AsyncGenerator[Event]

    def __init__(self) -> None:
        self._job: Job | None = None

    def handed_to(self, job: Job) -> None:
        """An executor has taken the turn."""
        self._job = job

    async def bring(self, result: ToolResult) -> None:
        """Answer a Wanted: its id, and what the call brought."""
        if self._job is None:
            raise RuntimeError("a result was brought before a call was wanted")
        await self._job.bring(result)


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await asyncio.open_unix_connection(str(path))
    except (OSError, TimeoutError):
        return None


def length(turn: Turn) -> int:
    """How many characters of text the model will read, but for pictures and files."""
    texts = sum(len(block.text) for message in turn.messages for block in message.content if isinstance(block, Text))
    tools = sum(len(tool.schema) + len(tool.description) for tool in turn.tools)
    return sum(map(len, turn.system)) + texts + tools


def decided(event: object) -> bool:
    """Whether an event says that the job will be answered or has failed, so that a status can be given."""
    return not isinstance(event, Queued | Admitted | Windows)
