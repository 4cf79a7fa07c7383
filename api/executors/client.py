"""Executor client: sends a job to the least-loaded executor that accepts it and yields its messages.

Invariants: exactly one message is terminal, whatever happens to the executor. An executor that is full, draining or
unavailable is skipped. Closing the messages closes the connection, which ends the job.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import structlog
from msgspec import structs

from api.executors.pool import Candidate, ExecutorPool
from api.http.drain import Drain, GiveUp
from shared.errors import ErrorKind
from shared.events import Done, Failed
from shared.process import peers
from shared.tool_jobs import JobDone
from shared.wire import DeliverToolResult, EncodedTurn, RunTool, Submit, ToApi, WireError, encode_frame, read_to_api

CONNECT_TIMEOUT = 5.0
# Another executor may accept a job that one refuses for these reasons.
RETRY_ON_OTHER_EXECUTOR = {ErrorKind.QUEUE_FULL, ErrorKind.DRAINING, ErrorKind.TOOLS_UNAVAILABLE}

TerminalMessage = Done | JobDone | Failed

type Guard = Callable[[GiveUp], AbstractContextManager[None]]

log = structlog.get_logger()


class ExecutorConnection:
    """One connection to an executor. Mutable: why this side ended the job, if it did."""

    def __init__(self, executor: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """executor: its name."""
        self.executor = executor
        self._reader = reader
        self._writer = writer
        self._reason: Failed | None = None

    async def send(
        self, message: Submit | DeliverToolResult | RunTool, too_large: ErrorKind, encoded: EncodedTurn | None = None
    ) -> Failed | None:
        """Sends a message; returns the failure if that is impossible. too_large: the kind of a message over the wire's limit.

        encoded: the message's turn, encoded once for all jobs that share it.
        """
        try:
            frames = (
                encoded.encode_frame(message) if encoded and isinstance(message, Submit) else [encode_frame(message)]
            )
            self._writer.writelines(frames)
            await self._writer.drain()
        except WireError:
            return Failed(too_large)
        except ConnectionError:
            return self._reason or Failed(ErrorKind.EXECUTOR_LOST)
        return None

    async def receive(self) -> ToApi:
        """Returns the executor's next message; Failed if it is lost, or if this side ended the job."""
        try:
            message = await read_to_api(self._reader)
        except (WireError, OSError) as error:
            log.warning("executor connection lost", reason=str(error))
            message = None
        if self._reason and not isinstance(message, TerminalMessage):
            return self._reason
        return Failed(ErrorKind.EXECUTOR_LOST) if message is None else message

    def fail(self, reason: Failed) -> None:
        """Ends the job at once; its next message is `reason`."""
        self._reason = self._reason or reason
        self._writer.transport.abort()

    def close(self) -> None:
        """Closes the connection, which ends the job."""
        self._writer.transport.abort()


class ExecutorClient:
    """Sends jobs to the executors of one role.

    unavailable_kind: the failure when no executor accepts a job. too_large_kind: that of a job over the wire's limit.
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
        on_accepted: Callable[[ExecutorConnection], None] = lambda _connection: None,
        *,
        nested: bool = False,
        guard: Guard = lambda _give_up: nullcontext(),
        encoded: EncodedTurn | None = None,
        find_preferred: Callable[[], str] = lambda: "",
    ) -> AsyncGenerator[T | Failed]:
        """Yields the messages of a job, up to the terminal one.

        convert: maps a message to this role's type; one that does not belong to the role maps to a lost executor.
        on_accepted: is called with the connection before the first message. nested: the job is part of running work, so
        it is accepted while draining. guard: is entered with the function that ends the job, while it runs. encoded: as
        for `ExecutorConnection.send`. find_preferred: returns the executor to ask first.
        """
        if self._drain.is_refusing and not nested:
            yield Failed(ErrorKind.DRAINING, retry_after=1)
            return
        candidates = self._executors.list_candidates(Failed(self._unavailable_kind, retry_after=1), find_preferred)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._request_timeout
        for candidate in candidates:
            path = candidate.path
            with ExitStack() as stack:
                # Counted before the connection, so that jobs of the same moment see each other.
                stack.enter_context(self._executors.count_job(path))
                streams = await connect_executor(path)
                if streams is None:
                    continue
                connection = ExecutorConnection(path.stem, *streams)
                stack.callback(connection.close)
                stack.enter_context(self._drain.track_job(connection.fail))
                stack.enter_context(guard(connection.fail))
                timer = loop.call_at(deadline, connection.fail, Failed(ErrorKind.REQUEST_TIMEOUT))
                stack.callback(timer.cancel)
                first = await self._receive_first(connection, message, candidate, encoded)
                event = first if isinstance(first, Failed) else convert(first)
                if isinstance(event, Failed) and event.kind in RETRY_ON_OTHER_EXECUTOR:
                    candidates.refusal = event
                    continue
                on_accepted(connection)
                log.debug("job accepted", executor=path.stem)
                yield event
                while not isinstance(event, TerminalMessage):
                    event = convert(await connection.receive())
                    yield event
                return
        yield candidates.refusal

    async def _receive_first(
        self,
        connection: ExecutorConnection,
        message: Submit | RunTool,
        candidate: Candidate,
        encoded: EncodedTurn | None,
    ) -> ToApi:
        """Returns the first message of a job; an executor that is silent for too long counts as draining."""
        timeout = None
        if isinstance(message, Submit):
            message, timeout = structs.replace(message, may_queue=candidate.may_queue), candidate.first_message_timeout
        try:
            async with asyncio.timeout(timeout):
                return await connection.send(message, self._too_large_kind, encoded) or await connection.receive()
        except TimeoutError:
            return Failed(ErrorKind.DRAINING, retry_after=1)


async def connect_executor(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Connects to an executor; returns None if it does not accept."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await peers.connect(path)
    except peers.UntrustedSocketError as error:
        log.error("untrusted executor socket", reason=str(error))
        return None
    except (OSError, TimeoutError):
        return None
