"""Tool client: sends jobs on files and commands to tools executors and yields their messages.

Invariants: exactly one message of a job is terminal, a JobDone or a Failed, whatever happens to the executor. Closing
the messages closes the connection, which ends the job.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from api.accounting.meter import Meter
from api.auth.revocation import AdmissionDenied
from api.conversation.messages import DocumentConverter
from api.core.caller import Caller
from api.executors.client import ExecutorClient
from api.executors.job_trace import ToolJobTrace
from api.executors.pool import ExecutorPool
from api.http.drain import Drain
from api.media.conversions import convert_document
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import CommandOutput, ConvertDocument, JobDone, JobResult, ToolJob, ToolsStatus
from shared.tracing import Tracing
from shared.wire import RunTool, ToApi

type ToolJobMessage = CommandOutput | JobDone | Failed


class ToolClient:
    """Runs jobs on files and commands."""

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
        """Returns the status of every tools executor by name; None for one that does not answer."""
        return await self._executors.fetch_tools_statuses()

    def list_problems(self) -> list[str]:
        """Returns why sockets of tools executors are not used, and the fix."""
        return self._executors.list_problems()

    async def find_available(self) -> ToolsStatus | None:
        """Returns the status of an executor that accepts jobs; None if there is none."""
        statuses = (await self.fetch_statuses()).values()
        return next((status for status in statuses if status and is_available(status)), None)

    async def explain_unavailable(self) -> Failed:
        """Returns the failure of a job that no executor accepts, with the first executor's problem if one is known."""
        problems = (status.problem for status in (await self.fetch_statuses()).values() if status and status.problem)
        return Failed(ErrorKind.TOOLS_UNAVAILABLE, next(problems, ""), retry_after=1)

    async def run(self, job: ToolJob, caller: Caller) -> AsyncGenerator[ToolJobMessage]:
        """Yields the messages of a job, within the caller's limits. Close the generator to end the job."""
        trace = ToolJobTrace(self._tracing, job, caller)
        tenant = self._meter.get_tenant(caller)
        request = RunTool(job, caller.request_id, tenant, trace.traceparent, tracestate=trace.tracestate)
        guard = self._meter.bind_revocation(caller)
        stream = self._client.stream_messages(request, _to_tool_job_message, nested=caller.is_nested, guard=guard)
        denial: Failed | None = None
        try:
            async with aclosing(stream) as messages, self._meter.meter_job(caller) as usage:
                async for message in messages:
                    usage.record(message)
                    trace.record_event(message)
                    yield message
        except AdmissionDenied as denied:
            denial = denied.failed
        finally:
            if denial:
                trace.record_event(denial)
            trace.end()
        if denial:
            yield denial

    async def get_result(self, job: ToolJob, caller: Caller) -> JobResult | Failed:
        """Runs a job that has no output before its result; returns the result."""
        async with aclosing(self.run(job, caller)) as messages:
            async for message in messages:
                if isinstance(message, JobDone):
                    return message.result
                if isinstance(message, Failed):
                    return message
        return Failed(ErrorKind.EXECUTOR_LOST)

    def build_converter(self, caller: Caller) -> DocumentConverter:
        """Returns the function that converts the office documents of a request."""

        async def run(job: ConvertDocument) -> JobResult | Failed:
            return await self.get_result(job, caller)

        return partial(convert_document, run)


def is_available(status: ToolsStatus) -> bool:
    """Whether an executor accepts jobs now."""
    return not status.problem and not status.draining


def _to_tool_job_message(message: ToApi) -> ToolJobMessage:
    return message if isinstance(message, CommandOutput | JobDone | Failed) else Failed(ErrorKind.EXECUTOR_LOST)
