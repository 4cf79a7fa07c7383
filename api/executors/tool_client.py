"""A job on files and commands: hand it to a tools executor, give back what it writes, end it early.

Law: a job's messages end in exactly one JobDone or Failed, whatever happens to the executor; closing them closes the
connection, and that ends the job.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from api.accounting.meter import Meter
from api.conversation.drafts import DocumentConverter
from api.core.caller import Caller
from api.executors.client import ExecutorClient
from api.executors.pool import ExecutorPool
from api.http.drain import Drain
from api.media.conversions import convert_document
from api.observability.tool_job_trace import ToolJobTrace
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import CommandOutput, ConvertDocument, JobDone, JobResult, ToolJob, ToolsStatus
from shared.tracing import Tracing
from shared.wire import RunTool, ToApi

type ToolJobMessage = CommandOutput | JobDone | Failed


class ToolClient:
    """Hands jobs to tools executors."""

    def __init__(
        self,
        executors: ExecutorPool,
        drain: Drain,
        request_timeout: float,
        meter: Meter,
        tracing: Tracing | None = None,
    ) -> None:
        self._meter = meter
        self._executors = executors
        self._tracing = tracing or Tracing()
        self._client = ExecutorClient(
            executors,
            drain,
            request_timeout,
            unavailable_kind=ErrorKind.TOOLS_UNAVAILABLE,
            too_large_kind=ErrorKind.TOO_LARGE,
        )

    async def fetch_statuses(self) -> dict[str, ToolsStatus | None]:
        """Every tools executor's state by name; None for one that does not answer."""
        return await self._executors.fetch_tools_statuses()

    def list_problems(self) -> list[str]:
        """Returns why sockets of tools executors are not used, and the fix."""
        return self._executors.list_problems()

    async def find_available(self) -> ToolsStatus | None:
        """The state of one that serves; None when none does."""
        return next((told for told in (await self.fetch_statuses()).values() if told and is_available(told)), None)

    async def explain_unavailable(self) -> Failed:
        """Why none serves, as far as one says it."""
        told = [each.problem for each in (await self.fetch_statuses()).values() if each and each.problem]
        return Failed(ErrorKind.TOOLS_UNAVAILABLE, next(iter(told), ""), retry_after=1)

    async def run(self, job: ToolJob, caller: Caller) -> AsyncGenerator[ToolJobMessage]:
        """What comes of a job, within the limits of who asks, and written down. Close the generator to end it."""
        trace = ToolJobTrace(self._tracing, job, caller)
        tenant = self._meter.get_tenant(caller)
        message = RunTool(job, caller.request_id, tenant, trace.traceparent, tracestate=trace.tracestate)
        guard = self._meter.bind_revocation(caller)
        came = self._client.stream_messages(message, _to_tool_job_message, nested=caller.is_nested, guard=guard)
        try:
            async with aclosing(self._meter.meter_messages(came, caller)) as messages:
                async for said in messages:
                    trace.record_event(said)
                    yield said
        finally:
            trace.end()

    async def get_result(self, job: ToolJob, caller: Caller) -> JobResult | Failed:
        """The end of a job that has no output before it."""
        async with aclosing(self.run(job, caller)) as messages:
            async for said in messages:
                if isinstance(said, JobDone):
                    return said.result
                if isinstance(said, Failed):
                    return said
        return Failed(ErrorKind.EXECUTOR_LOST)

    def build_converter(self, caller: Caller) -> DocumentConverter:
        """What converts the office documents of a request."""

        async def run(job: ConvertDocument) -> JobResult | Failed:
            return await self.get_result(job, caller)

        return partial(convert_document, run)


def is_available(status: ToolsStatus) -> bool:
    """Whether an executor takes jobs now."""
    return not status.problem and not status.draining


def _to_tool_job_message(message: ToApi) -> ToolJobMessage:
    return message if isinstance(message, CommandOutput | JobDone | Failed) else Failed(ErrorKind.EXECUTOR_LOST)
