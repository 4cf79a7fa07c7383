"""A job on files and commands: find it a tools executor, hand it over, give back what it writes, end it early.

Law: a job's messages end in exactly one JobDone or Failed, whatever happens to the executor; closing them closes the
connection, and that ends the job.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing

import structlog

from api.asking import Asking
from api.books import Books
from api.dispatch import TRY_ELSEWHERE, Job, connect
from api.drain import Drain
from api.executors import Executors
from shared.errors import ErrorKind
from shared.events import Failed, Queued
from shared.jobs import JobDone, JobResult, Output, ToolJob, ToolsStatus
from shared.wire import Do

type Said = Output | JobDone | Failed

# Another executor may be able to where one is not.
ELSEWHERE = TRY_ELSEWHERE | {ErrorKind.NO_TOOLS}

log = structlog.get_logger()


class Hands:
    """Hands jobs to tools executors."""

    def __init__(self, executors: Executors, drain: Drain, request_timeout: float, books: Books) -> None:
        self._books = books
        self._executors = executors
        self._drain = drain
        self._request_timeout = request_timeout

    async def statuses(self) -> dict[str, ToolsStatus | None]:
        """Every tools executor's state by name; None for one that does not answer."""
        return await self._executors.tools_statuses()

    async def serving(self) -> ToolsStatus | None:
        """The state of one that serves; None when none does."""
        return next((told for told in (await self.statuses()).values() if told and serves(told)), None)

    def do(self, job: ToolJob, asking: Asking) -> AsyncGenerator[Said]:
        """What comes of a job, within the limits of who asks, and written down. Close the generator to end it."""
        return self._books.metered(self._done(job, asking), asking)

    async def _done(self, job: ToolJob, asking: Asking) -> AsyncGenerator[Said]:
        if self._drain.begun:
            yield Failed(ErrorKind.DRAINING, retry_after=1)
            return
        refusal = Failed(ErrorKind.NO_TOOLS, retry_after=1)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._request_timeout
        for path in self._executors.by_load():
            connection = await connect(path)
            if connection is None:
                continue
            link = Job(*connection)
            with ExitStack() as stack:
                stack.callback(link.close)
                stack.enter_context(self._executors.job(path))
                stack.enter_context(self._drain.job(link.fail))
                timer = loop.call_at(deadline, link.fail, Failed(ErrorKind.REQUEST_TIMEOUT))
                stack.callback(timer.cancel)
                message = Do(job, asking.request_id, asking.key, asking.traceparent)
                said = await link.send(message, ErrorKind.TOO_LARGE) or await _next(link)
                if isinstance(said, Failed) and said.kind in ELSEWHERE:
                    refusal = said
                    continue
                log.debug("handed over", executor=path.stem)
                yield said
                while isinstance(said, Output):
                    said = await _next(link)
                    yield said
                return
        yield refusal

    async def result(self, job: ToolJob, asking: Asking) -> JobResult | Failed:
        """The end of a job that has no output before it."""
        async with aclosing(self.do(job, asking)) as messages:
            async for said in messages:
                if isinstance(said, JobDone):
                    return said.result
                if isinstance(said, Failed):
                    return said
        return Failed(ErrorKind.EXECUTOR_LOST)


def serves(status: ToolsStatus) -> bool:
    """Whether an executor takes jobs now."""
    return not status.problem and not status.draining


async def _next(link: Job) -> Said:
    # That it waits for a place is nothing that its caller is told.
    while isinstance(message := await link.receive(), Queued):
        pass
    return message if isinstance(message, Output | JobDone | Failed) else Failed(ErrorKind.EXECUTOR_LOST)
