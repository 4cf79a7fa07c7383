"""A Turn's life on this side: hand it over, give back its events, bring what its calls brought, end it early.

Law: the events of a job end in exactly one Done or Failed, whatever happens to the executor; closing the events closes
the connection, and that ends the job.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

from msgspec import structs

from api.accounting.meter import Books, Denied
from api.core.caller import Asking
from api.core.problems import of_failure
from api.executors.client import Handover, Link
from api.executors.observer import Watcher
from api.executors.pool import Executors
from api.http.drain import Drain
from api.observability.job_trace import JobTrace
from shared.errors import ErrorKind
from shared.events import Admitted, Event, Failed, Queued, Windows
from shared.tool_jobs import JobDone, Output, ToolsStatus
from shared.tracing import Tracing
from shared.turn import Text, ToolResult, Turn
from shared.wire import Bring, EncodedTurn, Status, Submit, ToApi


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
        self._handover = Handover(
            executors,
            drain,
            request_timeout,
            nobody=ErrorKind.NO_EXECUTOR,
            too_large=ErrorKind.PROMPT_TOO_LONG,
        )
        self._books = books
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

    async def check_model(self, asking: Asking, model: str) -> None:
        """Whether the key may use a model. Raises Problem."""
        try:
            await self._books.check_model(asking, model)
        except Denied as denied:
            raise of_failure(denied.failed) from None

    def run(self, turn: Turn, asking: Asking) -> AsyncGenerator[Event]:
        """The events of a turn. Close the generator to end the job."""
        return self._run(turn, asking, lambda _link: None)

    def runs(self, turn: Turn, asking: Asking, jobs: int) -> list[AsyncGenerator[Event]]:
        """The events of so many jobs of the same turn, which share its bytes."""
        encoded = EncodedTurn(turn, jobs) if jobs > 1 else None
        return [self._run(turn, asking, lambda _link: None, encoded) for _ in range(jobs)]

    @asynccontextmanager
    async def hold(self, turn: Turn, asking: Asking) -> AsyncGenerator["Held"]:
        """A turn whose calls' results are brought while it goes on; leaving ends the job. The turn becomes `held`."""
        held = Held()
        held.events = self._run(structs.replace(turn, held=True), asking, held.handed_to)
        try:
            yield held
        finally:
            await held.events.aclose()

    async def _run(
        self, turn: Turn, asking: Asking, handed_to: Callable[[Link], None], encoded: EncodedTurn | None = None
    ) -> AsyncGenerator[Event]:
        trace = JobTrace(self._tracing, turn, asking)
        asking = structs.replace(asking, traceparent=trace.traceparent, tracestate=trace.tracestate)
        watches = [trace, *(watcher(turn, asking) for watcher in self._watchers)]
        try:
            tenant = self._books.tenant(asking)
            submit = Submit(turn, asking.request_id, tenant, asking.traceparent, tracestate=asking.tracestate)
            guard = self._books.revocable(asking, turn.model)
            served = self._handover.messages(submit, _event, handed_to, guard=guard, encoded=encoded)
            async with aclosing(self._books.metered(served, asking, turn.model, length(turn))) as events:
                async for event in events:
                    if isinstance(event, Windows):
                        self._windows = event
                    for watch in watches:
                        watch.see(event)
                    yield event
        finally:
            for watch in watches:
                watch.end()


class Held:
    """A held turn under way. events: those of the turn, to be read to the end. Mutable: who does it, once known."""

    events: AsyncGenerator[Event]

    def __init__(self) -> None:
        self._link: Link | None = None

    def handed_to(self, link: Link) -> None:
        """An executor has taken the turn."""
        self._link = link

    async def bring(self, result: ToolResult) -> None:
        """Answer a Wanted: its id, and what the call brought."""
        if self._link is None:
            raise RuntimeError("a result was brought before a call was wanted")
        lost = await self._link.send(Bring(result), ErrorKind.PROMPT_TOO_LONG)
        # What else is wrong with it is the next event.
        if lost and lost.kind is ErrorKind.PROMPT_TOO_LONG:
            self._link.fail(lost)


def _event(message: ToApi) -> Event:
    of_tools = isinstance(message, Status | ToolsStatus | Output | JobDone)
    return Failed(ErrorKind.EXECUTOR_LOST) if of_tools else message


def length(turn: Turn) -> int:
    """How many characters of text the model will read, but for pictures and files."""
    texts = sum(len(block.text) for message in turn.messages for block in message.content if isinstance(block, Text))
    tools = sum(len(tool.schema) + len(tool.description) for tool in turn.tools)
    return sum(map(len, turn.system)) + texts + tools


def decided(event: object) -> bool:
    """Whether an event says that the job will be answered or has failed, so that a status can be given."""
    return not isinstance(event, Queued | Admitted | Windows)
