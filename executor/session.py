"""One connection from the API: reads one message, runs its job, and sends the events.

Invariants: after the first message, only results of an interactive turn's calls may arrive; the `match` in `serve` lists
everything that is allowed. When the API closes the connection, the job is cancelled.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import structlog

from executor.claude.role import ClaudeRole
from executor.claude.tool_results import ToolResultRouter, UnexpectedResult
from executor.job_trace import JobTrace
from executor.tools.role import ToolsRole
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed
from shared.process.peers import get_peer
from shared.tool_jobs import CommandOutput, JobDone
from shared.tracing import Tracing, parse_trace_id
from shared.wire import (
    PROTOCOL_VERSION,
    DeliverToolResult,
    EndHeld,
    GetStatus,
    HeldEnded,
    RunTool,
    Submit,
    ToApi,
    ToExecutor,
    WireError,
    encode_frame,
    read_to_executor,
)

FIRST_MESSAGE_TIMEOUT = 10.0
FINAL_MESSAGE_TIMEOUT = 30.0
PEER_REFUSED = "this executor does not serve user {uid}; put that user into the group of its socket"

log = structlog.get_logger()


class Session:
    """Mutable: the running job, and whether its last event was sent."""

    def __init__(
        self,
        role: ClaudeRole | ToolsRole,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing or Tracing()
        self._trace: JobTrace | None = None
        self._role = role
        self._reader = reader
        self._writer = writer
        self._job: asyncio.Task[None] | None = None
        self._end_sent = False
        self._draining = False

    async def refuse(self) -> None:
        """Closes the connection of a process that this executor does not serve, and logs it."""
        peer = describe_peer(self._writer)
        log.warning("a connection was refused: the peer is not of this user, nor in the group of the socket", **peer)
        with contextlib.suppress(OSError):
            await self._send(Failed(ErrorKind.INTERNAL, PEER_REFUSED.format(uid=peer["peer_uid"])))
        self._writer.close()

    async def serve(self, *, draining: bool) -> None:
        """Serves the connection until it ends."""
        try:
            async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT):
                message = await read_to_executor(self._reader)
            await self._handle(message, draining=draining)
        except (WireError, TimeoutError) as error:
            log.warning("a connection violated the protocol", reason=str(error), **describe_peer(self._writer))
        except ConnectionError:
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    def abort(self) -> None:
        """Ends the job because the executor ends."""
        self._draining = True
        if self._job:
            self._job.cancel()

    async def _handle(self, message: ToExecutor | None, *, draining: bool) -> None:
        match message:
            case None:
                pass
            case (
                Submit(version=version)
                | RunTool(version=version)
                | GetStatus(version=version)
                | EndHeld(version=version)
            ) if version != PROTOCOL_VERSION:
                await self._send(
                    Failed(ErrorKind.INTERNAL, f"protocol {version}; this executor speaks {PROTOCOL_VERSION}")
                )
            case GetStatus():
                await self._send(self._role.status(draining=draining))
            case Submit() | RunTool() if draining:
                await self._send(Failed(ErrorKind.DRAINING, retry_after=1))
            case Submit() if isinstance(self._role, ClaudeRole):
                results = ToolResultRouter()
                await self._run_traced(message, self._role.run(message, results, self._emit), results)
            case EndHeld() if isinstance(self._role, ClaudeRole):
                await self._send(HeldEnded(self._role.held.end_key(message.conversation_key, "requested")))
            case RunTool() if isinstance(self._role, ToolsRole):
                await self._run_traced(
                    message, self._role.run(message.job, self._emit, message.tenant), ToolResultRouter()
                )
            case Submit() | RunTool() | DeliverToolResult() | EndHeld():
                await self._send(Failed(ErrorKind.INTERNAL, "this executor has another role"))

    async def _run_traced(
        self, message: Submit | RunTool, work: Coroutine[Any, Any, None], results: ToolResultRouter
    ) -> None:
        self._trace = JobTrace(self._tracing, message)
        traced = {"trace_id": parse_trace_id(self._trace.traceparent)} if self._trace.traceparent else {}
        structlog.contextvars.bind_contextvars(request_id=message.request_id, **traced)
        try:
            await self._run_job(work, results)
        finally:
            self._trace.end()

    async def _run_job(self, work: Coroutine[Any, Any, None], results: ToolResultRouter) -> None:
        self._job = asyncio.create_task(work)
        receiving = asyncio.create_task(self._receive_results(results))
        try:
            await asyncio.wait({self._job, receiving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._job.cancel()
            failed = await self._stop_receiving(receiving)
            try:
                await self._job
            except asyncio.CancelledError:
                pass
            except ConnectionError:
                log.debug("the API closed the connection")
            except Exception:
                failed = True
                log.exception("a job failed")
        if not self._end_sent and (self._draining or failed):
            async with asyncio.timeout(FINAL_MESSAGE_TIMEOUT):
                await self._emit(Failed(ErrorKind.DRAINING if self._draining else ErrorKind.INTERNAL))

    async def _receive_results(self, results: ToolResultRouter) -> None:
        """Receives results until the API closes the connection. Raises WireError, UnexpectedResult."""
        with contextlib.suppress(ConnectionError):
            while message := await read_to_executor(self._reader):
                if not isinstance(message, DeliverToolResult):
                    raise WireError("a second job on one connection")
                results.deliver(message.result)

    async def _stop_receiving(self, receiving: asyncio.Task[None]) -> bool:
        """Stops receiving. Returns whether the API violated the protocol."""
        receiving.cancel()
        try:
            await receiving
        except asyncio.CancelledError:
            pass
        except (WireError, UnexpectedResult) as error:
            log.warning("a connection violated the protocol", reason=str(error), **describe_peer(self._writer))
            return True
        return False

    async def _emit(self, event: Event | CommandOutput | JobDone) -> None:
        self._end_sent = self._end_sent or isinstance(event, Done | JobDone | Failed)
        if self._trace:
            self._trace.record_event(event)
        await self._send(event)

    async def _send(self, message: ToApi) -> None:
        # A closed transport of uvloop raises RuntimeError instead of ConnectionError.
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(encode_frame(message))
        await self._writer.drain()


def describe_peer(writer: asyncio.StreamWriter) -> dict[str, int]:
    """Returns the process and user of the peer, for the log."""
    peer = get_peer(writer.get_extra_info("socket"))
    return {"peer_pid": peer.pid, "peer_uid": peer.uid}
