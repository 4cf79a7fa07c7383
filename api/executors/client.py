"""A job handed to an executor: the least loaded that takes it, one connection, its messages to the last.

Law: a job's messages end in exactly one last one, whatever happens to the executor; one that has no place, drains or
serves nothing is passed over; closing the messages closes the connection, and that ends the job.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import structlog

from api.executors.pool import ExecutorPool
from api.http.drain import Drain, GiveUp
from shared.errors import ErrorKind
from shared.events import Done, Failed
from shared.process import peers
from shared.tool_jobs import JobDone
from shared.wire import DeliverToolResult, EncodedTurn, RunTool, Submit, ToApi, WireError, encode_frame, read_to_api

CONNECT_TIMEOUT = 5.0
# Another executor may be able to where one is not.
RETRY_ON_OTHER_EXECUTOR = {ErrorKind.QUEUE_FULL, ErrorKind.DRAINING, ErrorKind.TOOLS_UNAVAILABLE}

TerminalMessage = Done | JobDone | Failed

type Guard = Callable[[GiveUp], AbstractContextManager[None]]

log = structlog.get_logger()


class ExecutorConnection:
    """One connection to an executor. Mutable: why we ended it ourselves, if we did."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._reason: Failed | None = None

    async def send(
        self, message: Submit | DeliverToolResult | RunTool, too_large: ErrorKind, encoded: EncodedTurn | None = None
    ) -> Failed | None:
        """Send a message; why not, if it could not be. too_large: what a message over the wire's limit is.

        encoded: the turn in it, for which memory is taken once however many jobs have it.
        """
        try:
            shared = (
                encoded.encode_frame(message) if encoded and isinstance(message, Submit) else [encode_frame(message)]
            )
            self._writer.writelines(shared)
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
        if self._reason and not isinstance(message, TerminalMessage):
            return self._reason
        return Failed(ErrorKind.EXECUTOR_LOST) if message is None else message

    def fail(self, reason: Failed) -> None:
        """End the job here and now; its next message is `reason`."""
        self._reason = self._reason or reason
        self._writer.transport.abort()

    def close(self) -> None:
        """Close the connection, which ends the job wherever it is."""
        self._writer.transport.abort()


class ExecutorClient:
    """Hands jobs to the executors of one role.

    nobody: what it is when none takes a job. too_large: what a job over the wire's limit is.
    """

    def __init__(
        self,
        executors: ExecutorPool,
        drain: Drain,
        request_timeout: float,
        *,
        unavailable_kind: ErrorKind,
        too_large_kind: ErrorKind,
    ) -> None:
        self._executors = executors
        self._drain = drain
        self._request_timeout = request_timeout
        self._unavailable_kind = unavailable_kind
        self._too_large_kind = too_large_kind

    async def stream_messages[T](
        self,
        message: Submit | RunTool,
        convert: Callable[[ToApi], T],
        on_accepted: Callable[[ExecutorConnection], None] = lambda _link: None,
        *,
        nested: bool = False,
        guard: Guard = lambda _give_up: nullcontext(),
        encoded: EncodedTurn | None = None,
    ) -> AsyncGenerator[T | Failed]:
        """All that comes of a job, to the last.

        understood: what a message means in this role; one that has no place in it means that the executor is lost.
        handed_to: hears who took it, before the first message. going_on: it belongs to work that is under way.
        guard: is entered with what ends the job, for as long as it runs. encoded: as for `Link.send`.
        """
        if self._drain.is_refusing and not nested:
            yield Failed(ErrorKind.DRAINING, retry_after=1)
            return
        trying = self._executors.list_candidates(Failed(self._unavailable_kind, retry_after=1))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._request_timeout
        for path, patience in trying:
            with ExitStack() as stack:
                # Counted before it is connected: of jobs that come at the same moment, each sees the others.
                stack.enter_context(self._executors.count_job(path))
                connection = await connect_executor(path)
                if connection is None:
                    continue
                link = ExecutorConnection(*connection)
                stack.callback(link.close)
                stack.enter_context(self._drain.track_job(link.fail))
                stack.enter_context(guard(link.fail))
                timer = loop.call_at(deadline, link.fail, Failed(ErrorKind.REQUEST_TIMEOUT))
                stack.callback(timer.cancel)
                said = await self._receive_first(
                    link, message, patience if isinstance(message, Submit) else None, encoded
                )
                said = said if isinstance(said, Failed) else convert(said)
                if isinstance(said, Failed) and said.kind in RETRY_ON_OTHER_EXECUTOR:
                    trying.refusal = said
                    continue
                on_accepted(link)
                log.debug("handed over", executor=path.stem)
                yield said
                while not isinstance(said, TerminalMessage):
                    said = convert(await link.receive())
                    yield said
                return
        yield trying.refusal

    async def _receive_first(
        self,
        link: ExecutorConnection,
        message: Submit | RunTool,
        first_message_timeout: float | None,
        encoded: EncodedTurn | None,
    ) -> ToApi:
        """What is said to a job first; who says nothing for so many seconds counts as draining."""
        try:
            async with asyncio.timeout(first_message_timeout):
                return await link.send(message, self._too_large_kind, encoded) or await link.receive()
        except TimeoutError:
            return Failed(ErrorKind.DRAINING, retry_after=1)


async def connect_executor(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A connection to an executor; None when it takes none."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await peers.connect(path)
    except peers.UntrustedSocketError as error:
        log.error("an executor's socket can't be trusted", reason=str(error))
        return None
    except (OSError, TimeoutError):
        return None
