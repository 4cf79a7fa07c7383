"""A Turn's life on this side: hand it over, give back its events, bring what its calls brought, end it early.

Law: the events of a job end in exactly one Done or Failed, whatever happens to the executor; closing the events closes
the connection, and that ends the job.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

from msgspec import structs

from api.accounting.meter import AdmissionDenied, Meter
from api.core.caller import Caller
from api.core.problems import problem_from_failure
from api.executors.client import ExecutorClient, ExecutorConnection
from api.executors.observer import JobObserverFactory
from api.executors.pool import ExecutorPool
from api.http.drain import Drain
from api.observability.job_trace import JobTrace
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued, UsageWindows
from shared.tool_jobs import CommandOutput, JobDone, ToolsStatus
from shared.tracing import Tracing
from shared.turn import Text, ToolResult, Turn
from shared.wire import ClaudeStatus, DeliverToolResult, EncodedTurn, Submit, ToApi


class TurnClient:
    """Hands turns to executors."""

    def __init__(
        self,
        executors: ExecutorPool,
        drain: Drain,
        request_timeout: float,
        meter: Meter,
        *,
        observers: tuple[JobObserverFactory, ...] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self._client = ExecutorClient(
            executors,
            drain,
            request_timeout,
            unavailable_kind=ErrorKind.NO_EXECUTOR,
            too_large_kind=ErrorKind.PROMPT_TOO_LONG,
        )
        self._meter = meter
        self._observers = observers
        self._tracing = tracing or Tracing()
        self._windows: UsageWindows | None = None

    def build_window_headers(self) -> dict[str, str]:
        """The subscription's usage windows as the service last told of them; times in seconds from now."""
        headers: dict[str, str] = {}
        for window in self._windows.windows if self._windows else ():
            name = f"x-ratelimit-{window.name.replace('_', '-')}"
            if window.utilization is not None:
                headers[f"{name}-utilization"] = f"{window.utilization:g}"
            if window.resets_at is not None:
                headers[f"{name}-reset"] = str(max(0, round(window.resets_at - time.time())))
        return headers

    async def check_model(self, caller: Caller, model: str) -> None:
        """Whether the key may use a model. Raises Problem."""
        try:
            await self._meter.check_model(caller, model)
        except AdmissionDenied as denied:
            raise problem_from_failure(denied.failed) from None

    def run(self, turn: Turn, caller: Caller) -> AsyncGenerator[Event]:
        """The events of a turn. Close the generator to end the job."""
        return self._run(turn, caller, lambda _link: None)

    def run_many(self, turn: Turn, caller: Caller, jobs: int) -> list[AsyncGenerator[Event]]:
        """The events of so many jobs of the same turn, which share its bytes."""
        encoded = EncodedTurn(turn, jobs) if jobs > 1 else None
        return [self._run(turn, caller, lambda _link: None, encoded) for _ in range(jobs)]

    @asynccontextmanager
    async def run_interactive(self, turn: Turn, caller: Caller) -> AsyncGenerator["InteractiveTurn"]:
        """A turn whose calls' results are brought while it goes on; leaving ends the job. The turn becomes `held`."""
        held = InteractiveTurn()
        held.events = self._run(structs.replace(turn, interactive=True), caller, held.on_accepted)
        try:
            yield held
        finally:
            await held.events.aclose()

    async def _run(
        self,
        turn: Turn,
        caller: Caller,
        on_accepted: Callable[[ExecutorConnection], None],
        encoded: EncodedTurn | None = None,
    ) -> AsyncGenerator[Event]:
        trace = JobTrace(self._tracing, turn, caller)
        caller = structs.replace(caller, traceparent=trace.traceparent, tracestate=trace.tracestate)
        watches = [trace, *(watcher(turn, caller) for watcher in self._observers)]
        try:
            tenant = self._meter.get_tenant(caller)
            submit = Submit(turn, caller.request_id, tenant, caller.traceparent, tracestate=caller.tracestate)
            guard = self._meter.bind_revocation(caller, turn.model)
            served = self._client.stream_messages(submit, _to_event, on_accepted, guard=guard, encoded=encoded)
            async with aclosing(
                self._meter.meter_messages(served, caller, turn.model, count_characters(turn))
            ) as events:
                async for event in events:
                    if isinstance(event, UsageWindows):
                        self._windows = event
                    for watch in watches:
                        watch.record_event(event)
                    yield event
        finally:
            for watch in watches:
                watch.end()


class InteractiveTurn:
    """A held turn under way. events: those of the turn, to be read to the end. Mutable: who does it, once known."""

    events: AsyncGenerator[Event]

    def __init__(self) -> None:
        self._connection: ExecutorConnection | None = None

    def on_accepted(self, link: ExecutorConnection) -> None:
        """An executor has taken the turn."""
        self._connection = link

    async def send_tool_result(self, result: ToolResult) -> None:
        """Answer a Wanted: its id, and what the call brought."""
        if self._connection is None:
            raise RuntimeError("a result was brought before a call was wanted")
        lost = await self._connection.send(DeliverToolResult(result), ErrorKind.PROMPT_TOO_LONG)
        # What else is wrong with it is the next event.
        if lost and lost.kind is ErrorKind.PROMPT_TOO_LONG:
            self._connection.fail(lost)


def _to_event(message: ToApi) -> Event:
    of_tools = isinstance(message, ClaudeStatus | ToolsStatus | CommandOutput | JobDone)
    return Failed(ErrorKind.EXECUTOR_LOST) if of_tools else message


def count_characters(turn: Turn) -> int:
    """How many characters of text the model will read, but for pictures and files."""
    texts = sum(len(block.text) for message in turn.messages for block in message.content if isinstance(block, Text))
    tools = sum(len(tool.schema) + len(tool.description) for tool in turn.tools)
    return sum(map(len, turn.system)) + texts + tools


def is_decisive(event: object) -> bool:
    """Whether an event says that the job will be answered or has failed, so that a status can be given."""
    return not isinstance(event, Queued | Admitted | UsageWindows)
