"""The protocol between the API and an executor.

Specification. An executor listens on a Unix stream socket. A connection carries one job:

    frame   = length payload
    length  = 4 bytes, big-endian, unsigned: the payload's size in bytes, 1 to MAX_FRAME
    payload = one msgpack map: a struct below, with its tag in the field "type"

1. The API connects and sends one frame: `Submit` (claude role), `RunTool` (tools role) or `GetStatus` (both). Each carries
   `version`; an executor that does not speak that version answers `Failed(internal)` and closes. It answers
   `Failed(internal)` to a message for the other role too.
2. To `GetStatus` the executor answers one `ClaudeStatus` or, in the tools role, one `ToolsStatus`, and closes.
3. To `Submit` it answers events in the order of `shared.events`, the last of them a `Done` or `Failed`, and closes. In an
   interactive turn, each `ToolCallPending` waits for one `DeliverToolResult` with the same id, and the turn continues.
   If the last event has handles, a CLI process holds the conversation: a `Submit` of the same `conversation_key` that continues
   it is answered by that process, if it is still there.
4. To `EndHeld` the executor of the claude role answers one `HeldEnded`, and closes.
5. To `RunTool` it answers any number of `CommandOutput`, then exactly one `JobDone` or `Failed`, and closes.
6. To close the connection is the only other message: the API closes it to cancel a job; if an executor closes it before the
   last message, the job is lost.
7. Each direction has its own union, so neither side can send the other's messages. A frame over MAX_FRAME is rejected
   before it is read. An incomplete frame, or one of an unknown type, ends the connection.

The kernel's socket buffer provides the back-pressure: a sender waits in `drain` until the other side has read.
"""

import asyncio
import contextlib
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from shared.claude_status import ClaudeStatus
from shared.events import Event
from shared.process.peers import connect
from shared.tool_jobs import CommandOutput, JobDone, ToolJob, ToolsStatus
from shared.turn import ToolResult, Turn

PROTOCOL_VERSION = 6
MAX_FRAME = 64 * 1024 * 1024
LENGTH_BYTES = 4
MSGPACK_NIL = b"\xc0"


class WireError(Exception):
    """The other side violated the protocol."""


class Submit(Struct, frozen=True, tag="submit"):
    """Starts a turn.

    request_id: its id in the logs of both programs. tenant: the key of the caller, for fair queueing; may be empty.
    traceparent, tracestate: the trace that it belongs to (https://www.w3.org/TR/trace-context/).
    conversation_key: stands for the caller's key; a CLI process continues only conversations of one key. If it is empty, no
    process continues this turn, and none is held after it. key_expires_at: when no process may be held any more, in seconds
    since 1970. may_queue: the job may wait for a slot; otherwise it is refused.
    """

    turn: Turn
    request_id: str
    tenant: str = ""
    traceparent: str = ""
    version: int = PROTOCOL_VERSION
    tracestate: str = ""
    conversation_key: str = ""
    key_expires_at: float | None = None
    may_queue: bool = True


class DeliverToolResult(Struct, frozen=True, tag="tool_result"):
    """The result of a tool call in an interactive turn."""

    result: ToolResult


class RunTool(Struct, frozen=True, tag="run_tool"):
    """Starts a job of the tools role; the other fields are those of `Submit`."""

    job: ToolJob
    request_id: str
    tenant: str = ""
    traceparent: str = ""
    version: int = PROTOCOL_VERSION
    tracestate: str = ""


class GetStatus(Struct, frozen=True, tag="get_status"):
    """Requests the executor's status."""

    version: int = PROTOCOL_VERSION


class EndHeld(Struct, frozen=True, tag="end_held"):
    """Ends the held CLI processes of a key; `conversation_key` None: of every key."""

    conversation_key: str | None
    version: int = PROTOCOL_VERSION


class HeldEnded(Struct, frozen=True, tag="held_ended"):
    """How many held CLI processes were ended."""

    count: int


type ToExecutor = Submit | DeliverToolResult | RunTool | GetStatus | EndHeld
type ToApi = Event | CommandOutput | JobDone | ClaudeStatus | ToolsStatus | HeldEnded

_executor_decoder = msgspec.msgpack.Decoder[ToExecutor](Submit | DeliverToolResult | RunTool | GetStatus | EndHeld)
_api_decoder = msgspec.msgpack.Decoder[ToApi](Event | CommandOutput | JobDone | ClaudeStatus | ToolsStatus | HeldEnded)
_encoder = msgspec.msgpack.Encoder()


def encode_frame(message: ToExecutor | ToApi) -> bytes:
    """Returns the bytes of a frame. Raises WireError for a message over MAX_FRAME, or a number over 64 bits."""
    try:
        payload = _encoder.encode(message)
    except OverflowError as error:
        raise WireError("a number is too large for a message") from error
    if len(payload) > MAX_FRAME:
        raise WireError(f"a message of {len(payload)} bytes is over the limit of {MAX_FRAME}")
    return len(payload).to_bytes(LENGTH_BYTES) + payload


class _EncodedSubmit(Struct, frozen=True, tag="submit"):
    """A `Submit` with an encoded turn; its other fields are the same, in the same order."""

    turn: msgspec.Raw
    request_id: str
    tenant: str
    traceparent: str
    version: int
    tracestate: str
    conversation_key: str
    key_expires_at: float | None
    may_queue: bool


class EncodedTurn:
    """A turn for several jobs. It is encoded once, and the bytes are kept until the last job is sent. Mutable: the jobs left."""

    def __init__(self, turn: Turn, jobs: int) -> None:
        self._turn = turn
        self._jobs = jobs
        self._data: bytes | None = None

    def encode_frame(self, message: Submit) -> list[bytes]:
        """Returns a frame in parts; the largest part is shared by all jobs. Raises WireError, like `encode_frame`."""
        try:
            data = self._data or _encoder.encode(self._turn)
        except OverflowError as error:
            raise WireError("a number is too large for a message") from error
        self._jobs -= 1
        self._data = data if self._jobs > 0 else None
        _turn, *fields = structs.astuple(message)
        around = _encoder.encode(_EncodedSubmit(msgspec.Raw(MSGPACK_NIL), *fields))
        before, after = around.split(b"turn" + MSGPACK_NIL, 1)
        size = len(around) - len(MSGPACK_NIL) + len(data)
        if size > MAX_FRAME:
            raise WireError(f"a message of {size} bytes is over the limit of {MAX_FRAME}")
        return [size.to_bytes(LENGTH_BYTES) + before + b"turn", data, after]


async def _read_payload(reader: asyncio.StreamReader) -> bytes | None:
    """Returns the payload of the next frame; None when the other side closed between frames."""
    head = await reader.read(LENGTH_BYTES)
    if not head:
        return None
    try:
        head += await reader.readexactly(LENGTH_BYTES - len(head))
        size = int.from_bytes(head)
        if not 0 < size <= MAX_FRAME:
            raise WireError(f"a frame of {size} bytes; 1 to {MAX_FRAME} are allowed")
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as cut:
        raise WireError("the connection was closed inside a frame") from cut


async def read_to_executor(reader: asyncio.StreamReader) -> ToExecutor | None:
    """Returns the next message of the API; None when it closed. Raises WireError."""
    return _decode(await _read_payload(reader), _executor_decoder)


async def read_to_api(reader: asyncio.StreamReader) -> ToApi | None:
    """Returns the next message of an executor; None when it closed. Raises WireError."""
    return _decode(await _read_payload(reader), _api_decoder)


async def fetch_status(path: Path) -> ToApi | None:
    """Returns an executor's answer to `GetStatus`, as `exchange`."""
    return await exchange(path, GetStatus())


async def exchange(path: Path, message: GetStatus | EndHeld) -> ToApi | None:
    """Returns an executor's only answer to a message; None when it closed without one.

    Raises OSError, UntrustedSocketError and WireError.
    """
    reader, writer = await connect(path)
    try:
        writer.write(encode_frame(message))
        return await read_to_api(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _decode[T](payload: bytes | None, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    if payload is None:
        return None
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message of this protocol: {error}") from error
