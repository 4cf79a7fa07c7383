"""A job on files and commands: hand it to a tools executor, give back what it writes, end it early.

Law: a job's messages end in exactly one JobDone or Failed, whatever happens to the executor; closing them closes the
connection, and that ends the job.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from api.accounting.meter import Books
from api.conversation.drafts import Convert
from api.core.caller import Asking
from api.executors.client import Handover
from api.executors.pool import Executors
from api.http.drain import Drain
from api.media.conversions import convert
from api.observability.tool_job_trace import HandsTrace
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import ConvertDocument, JobDone, JobResult, Output, ToolJob, ToolsStatus
from shared.tracing import Tracing
from shared.wire import Do, ToApi

type Said = Output | JobDone | Failed


class Hands:
    """Hands jobs to tools executors."""

    def __init__(
        self, executors: Executors, drain: Drain, request_timeout: float, books: Books, tracing: Tracing | None = None
    ) -> None:
        self._books = books
        self._executors = executors
        self._tracing = tracing or Tracing()
        self._handover = Handover(
            executors, drain, request_timeout, nobody=ErrorKind.TOOLS_UNAVAILABLE, too_large=ErrorKind.TOO_LARGE
        )

    async def statuses(self) -> dict[str, ToolsStatus | None]:
        """Every tools executor's state by name; None for one that does not answer."""
        return await self._executors.tools_statuses()

    def problems(self) -> list[str]:
        """Returns why sockets of tools executors are not used, and the fix."""
        return self._executors.problems()

    async def serving(self) -> ToolsStatus | None:
        """The state of one that serves; None when none does."""
        return next((told for told in (await self.statuses()).values() if told and serves(told)), None)

    async def why_not(self) -> Failed:
        """Why none serves, as far as one says it."""
        told = [each.problem for each in (await self.statuses()).values() if each and each.problem]
        return Failed(ErrorKind.TOOLS_UNAVAILABLE, next(iter(told), ""), retry_after=1)

    async def do(self, job: ToolJob, asking: Asking) -> AsyncGenerator[Said]:
        """What comes of a job, within the limits of who asks, and written down. Close the generator to end it."""
        trace = HandsTrace(self._tracing, job, asking)
        tenant = self._books.tenant(asking)
        message = Do(job, asking.request_id, tenant, trace.traceparent, tracestate=trace.tracestate)
        guard = self._books.revocable(asking)
        came = self._handover.messages(message, _said, going_on=asking.within, guard=guard)
        try:
            async with aclosing(self._books.metered(came, asking)) as messages:
                async for said in messages:
                    trace.see(said)
                    yield said
        finally:
            trace.end()

    async def result(self, job: ToolJob, asking: Asking) -> JobResult | Failed:
        """The end of a job that has no output before it."""
        async with aclosing(self.do(job, asking)) as messages:
            async for said in messages:
                if isinstance(said, JobDone):
                    return said.result
                if isinstance(said, Failed):
                    return said
        return Failed(ErrorKind.EXECUTOR_LOST)

    def converter(self, asking: Asking) -> Convert:
        """What converts the office documents of a request."""

        async def run(job: ConvertDocument) -> JobResult | Failed:
            return await self.result(job, asking)

        return partial(convert, run)


def serves(status: ToolsStatus) -> bool:
    """Whether an executor takes jobs now."""
    return not status.problem and not status.draining


def _said(message: ToApi) -> Said:
    return message if isinstance(message, Output | JobDone | Failed) else Failed(ErrorKind.EXECUTOR_LOST)
