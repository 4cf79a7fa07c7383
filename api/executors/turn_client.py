"""Turn client: sends turns to claude executors, yields their events and delivers tool results.

Invariants: exactly one event of a turn is terminal, a Done or a Failed, whatever happens to the executor. Closing the
events closes the connection, which ends the job.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

from msgspec import structs

from api.accounting.meter import Meter
from api.auth.revocation import AdmissionDenied
from api.core.caller import Caller
from api.core.problems import problem_from_failure
from api.executors.client import ExecutorClient, ExecutorConnection
from api.executors.held_conversations import HeldConversations
from api.executors.job_trace import TurnTrace
from api.executors.observer import JobObserverFactory
from api.executors.pool import ExecutorPool
from api.http.drain import Drain
from shared.claude_status import ClaudeStatus
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, UsageWindows
from shared.tool_jobs import CommandOutput, JobDone, ToolsStatus
from shared.tracing import Tracing
from shared.turn import Text, ToolResult, Turn
from shared.wire import DeliverToolResult, EncodedTurn, HeldEnded, Submit, ToApi


class TurnClient:
    """Runs turns. Mutable: the usage windows that the service last reported."""

    def __init__(
        self,
        executors: ExecutorPool,
        drain: Drain,
        request_timeout: float,
        meter: Meter,
        held: HeldConversations,
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
        self._held = held
        self._observers = observers
        self._tracing = tracing or Tracing()
        self._windows: UsageWindows | None = None

    def build_window_headers(self) -> dict[str, str]:
        """Returns the subscription's usage windows, as last reported; times are seconds from now."""
        headers: dict[str, str] = {}
        for window in self._windows.windows if self._windows else ():
            name = f"x-ratelimit-{window.name.replace('_', '-')}"
            if window.utilization is not None:
                headers[f"{name}-utilization"] = f"{window.utilization:g}"
            if window.resets_at is not None:
                headers[f"{name}-reset"] = str(max(0, round(window.resets_at - time.time())))
        return headers

    async def check_model(self, caller: Caller, model: str) -> None:
        """Raises Problem if the key may not use the model."""
        try:
            await self._meter.check_model(caller, model)
        except AdmissionDenied as denied:
            raise problem_from_failure(denied.failed) from None

    def run(self, turn: Turn, caller: Caller) -> AsyncGenerator[Event]:
        """Returns the events of a turn. Close the generator to end the job."""
        return self._run(turn, caller, lambda _connection: None)

    def run_many(self, turn: Turn, caller: Caller, jobs: int) -> list[AsyncGenerator[Event]]:
        """Returns the events of several jobs of the same turn, which share its encoded bytes."""
        encoded = EncodedTurn(turn, jobs) if jobs > 1 else None
        return [self._run(turn, caller, lambda _connection: None, encoded) for _ in range(jobs)]

    @asynccontextmanager
    async def run_interactive(self, turn: Turn, caller: Caller) -> AsyncGenerator["InteractiveTurn"]:
        """Runs a turn that receives its tool results while it runs. Leaving the context ends the job."""
        interactive = InteractiveTurn()
        turn = structs.replace(turn, interactive=True)
        interactive.events = self._run(turn, caller, interactive.on_accepted)
        try:
            yield interactive
        finally:
            await interactive.events.aclose()

    async def _run(
        self,
        turn: Turn,
        caller: Caller,
        on_accepted: Callable[[ExecutorConnection], None],
        encoded: EncodedTurn | None = None,
    ) -> AsyncGenerator[Event]:
        trace = TurnTrace(self._tracing, turn, caller)
        caller = structs.replace(caller, traceparent=trace.traceparent, tracestate=trace.tracestate)
        observers = [trace, *(observe(turn, caller) for observe in self._observers)]
        tenant = self._meter.get_tenant(caller)
        submit = Submit(
            turn,
            caller.request_id,
            tenant,
            caller.traceparent,
            tracestate=caller.tracestate,
            conversation_key=self._held.build_key(caller),
            key_expires_at=self._meter.get_expiry(caller),
        )
        guard = self._meter.bind_revocation(caller, turn.model)
        route = self._held.build_route(submit, is_single=encoded is None)
        messages = self._client.stream_messages(
            submit,
            _to_event,
            route.wrap(on_accepted),
            guard=guard,
            encoded=encoded,
            find_preferred=route.find_preferred,
        )
        denial: Failed | None = None
        try:
            async with (
                aclosing(messages) as events,
                self._meter.meter_job(caller, turn.model, count_characters(turn)) as usage,
            ):
                self._held.track_key(caller, submit.conversation_key)
                async for event in events:
                    usage.record(event)
                    if isinstance(event, UsageWindows):
                        self._windows = event
                    elif isinstance(event, Done) and event.held:
                        self._held.record(route, event.held)
                    for observer in observers:
                        observer.record_event(event)
                    yield event
        except AdmissionDenied as denied:
            denial = denied.failed
        finally:
            if denial:
                for observer in observers:
                    observer.record_event(denial)
            for observer in observers:
                observer.end()
        if denial:
            yield denial


class InteractiveTurn:
    """An interactive turn. events: must be read to the end. Mutable: the connection, once an executor accepts the turn."""

    events: AsyncGenerator[Event]

    def __init__(self) -> None:
        self._connection: ExecutorConnection | None = None

    def on_accepted(self, connection: ExecutorConnection) -> None:
        """Records the connection to the executor that accepted the turn."""
        self._connection = connection

    async def send_tool_result(self, result: ToolResult) -> None:
        """Sends the result of a pending tool call."""
        if self._connection is None:
            raise RuntimeError("a tool result was sent before a tool call")
        lost = await self._connection.send(DeliverToolResult(result), ErrorKind.PROMPT_TOO_LONG)
        # Other failures arrive as the next event.
        if lost and lost.kind is ErrorKind.PROMPT_TOO_LONG:
            self._connection.fail(lost)


def _to_event(message: ToApi) -> Event:
    is_other_role = isinstance(message, ClaudeStatus | ToolsStatus | CommandOutput | JobDone | HeldEnded)
    return Failed(ErrorKind.EXECUTOR_LOST) if is_other_role else message


def count_characters(turn: Turn) -> int:
    """Returns the number of characters of text in a turn, without images and files."""
    texts = sum(len(block.text) for message in turn.messages for block in message.content if isinstance(block, Text))
    tools = sum(len(tool.schema) + len(tool.description) for tool in turn.tools)
    return sum(map(len, turn.system)) + texts + tools
