"""The Messages API as a script: what tests and the bench put behind the real CLI.

Invariants: it does what the script says and nothing by chance; every wait is for an event, never for a while. The bytes are
those of https://docs.claude.com/en/api/messages-streaming and .../errors. It shares no code with what it tests. A
request that the real service refuses is refused, unless the test says otherwise (`service_rules`).

Mind that the CLI retries: a reply that fails is asked for again, and takes the next reply of the script.
"""

import asyncio
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import msgspec
from msgspec import Struct

from tests.support.scripted.service_models import find_model
from tests.support.scripted.service_rules import RULES, find_refusal
from tests.support.scripted.service_thinking import BILLING, sign
from tests.support.timeouts import TEST_TIMEOUT

type Json = dict[str, Any]
type Words = int | str | Sequence[str]
type ToolCall = tuple[str, str, Sequence[str]]  # id, name, its arguments as JSON text in pieces

IDENTITY = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
STREAM = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
MAX_HEAD_BYTES = 256 * 1024
ENVIRONMENT = "# Environment"
STOP_REASONS = (
    *("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"),
    "model_context_window_exceeded",
)


class ReceivedRequest(Struct, frozen=True):
    """A request. number: how many came before, of any kind. headers: by their names in lower case."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: Json

    @property
    def is_message_request(self) -> bool:
        """Whether it asks for a message."""
        return self.method == "POST" and self.path.partition("?")[0] == "/v1/messages"

    @property
    def system_texts(self) -> list[str]:
        """The texts of `system`, without the two lines that the CLI puts first."""
        system: Any = self.body.get("system", [])
        texts = [system] if isinstance(system, str) else [block["text"] for block in system]
        if texts and texts[0].startswith(BILLING):
            texts = texts[1:]
        return texts[1:] if texts and texts[0] == IDENTITY else texts

    @property
    def conversation(self) -> list[Json]:
        """The messages of the client: without the CLI's own (`system`) and its cache marks, content as blocks."""
        messages: list[Json] = [message for message in self.body["messages"] if message["role"] != "system"]
        return [{"role": message["role"], "content": _blocks(message["content"])} for message in messages]

    @property
    def instructions(self) -> list[tuple[int, str]]:
        """The client's system messages in the middle: how many of the conversation stand before each, and its text."""
        before, found = 0, list[tuple[int, str]]()
        for message in self.body["messages"]:
            if message["role"] == "system":
                texts = [block["text"] for block in _blocks(message["content"])]
                found += [(before, text) for text in texts if not text.startswith(ENVIRONMENT)]
            else:
                before += 1
        return found

    @property
    def tools_by_name(self) -> dict[str, Json]:
        """The tools, without cache marks."""
        return {tool["name"]: tool for tool in _unmarked(self.body.get("tools", []))}

    @property
    def thinks(self) -> bool:
        """Whether the model thinks before this answer, whatever the script says."""
        kind = (self.body.get("thinking") or {}).get("type", "adaptive")
        return find_model(self.body.get("model")).is_latest and kind == "adaptive"

    @property
    def shows_thinking(self) -> bool:
        """Whether thinking comes with its words, and is signed with them."""
        return (self.body.get("thinking") or {}).get("display") != "omitted"


def _blocks(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return _unmarked(content)


def _unmarked(holders: list[Json]) -> list[Json]:
    return [{name: value for name, value in holder.items() if name != "cache_control"} for holder in holders]


class AnswerReply(Struct, frozen=True):
    """An answer: text in deltas (a number means so many words), after thinking and before tool calls, if any.

    thinking: None is the empty block of models that always think. stop_reason: None is `tool_use` with tools, else
    `end_turn`; STOP_REASONS has the service's. output: None counts the deltas.
    per_second: the pace of all deltas; None is as fast as they can be written. reasoning: the part of `output` that was
    thought.
    """

    text: Words = ""
    stop_reason: str | None = None
    input: int = 10
    output: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    per_second: float | None = None
    thinking: Words | None = None
    tools: Sequence[ToolCall] = ()
    stop_sequence: str | None = None
    headers: Mapping[str, str] = {}
    reasoning: int | None = None


class ErrorReply(Struct, frozen=True):
    """An HTTP error in the service's envelope. headers: added to those that the service sends with this status."""

    status: int
    error_type: str
    message: str = "refused by the script"
    headers: Mapping[str, str] = {}


RATE_LIMITED = {"retry-after": "1", "x-should-retry": "true"}


class CutReply(Struct, frozen=True):
    """The connection is lost after these deltas, in the middle of the answer."""

    after: Words = 1


class ErrorEventReply(Struct, frozen=True):
    """An `error` event comes after these deltas, and the stream ends."""

    after: Words = 1
    error_type: str = "overloaded_error"
    message: str = "Overloaded"


class StalledReply(Struct, frozen=True):
    """Silence after these deltas, until `release` lets it end or the client goes."""

    after: Words = 1


class GatedReply(Struct, frozen=True):
    """Each delta waits for a `release`; the answer's end does not."""

    text: Words = ""
    thinking: Words | None = None
    tools: Sequence[ToolCall] = ()


type Streamed = AnswerReply | CutReply | ErrorEventReply | StalledReply | GatedReply
type Reply = Streamed | ErrorReply
type Scripted = Reply | Callable[[ReceivedRequest], Reply]


def split_deltas(words: Words) -> tuple[str, ...]:
    """The deltas of a text; a number makes so many words, each unlike the others."""
    match words:
        case int():
            return tuple(f"w{number} " for number in range(words))
        case str():
            return (words,) if words else ()
        case _:
            return tuple(words)


def build_events(says: AnswerReply, received: ReceivedRequest, *, thinks: bool = False) -> Iterator[Json]:
    """The events of the stream that says this. thinks: an empty thinking block comes first."""
    blocks = list(_content(says))
    if thinks or says.thinking is not None:
        pieces = split_deltas(says.thinking or ()) if received.shows_thinking else ()
        blocks.insert(0, _thought(pieces, sign(received.body, "".join(pieces))))
    counted = sum(len(inner) for _, inner in blocks[thinks:])
    usage = {
        "input_tokens": says.input,
        "cache_creation_input_tokens": says.cache_write,
        "cache_read_input_tokens": says.cache_read,
        "output_tokens": 1,
    }
    model = received.body.get("model", "")
    message = {"id": f"msg_{received.number}", "type": "message", "role": "assistant", "model": model, "content": []}
    unended = {"stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message | unended}
    yield {"type": "ping"}
    for index, (block, inner) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in inner:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = says.stop_reason or ("tool_use" if says.tools else "end_turn")
    end = {"stop_reason": reason, "stop_sequence": says.stop_sequence}
    yield {
        "type": "message_delta",
        "delta": end,
        "usage": {"output_tokens": counted if says.output is None else says.output, **_reasoned(says)},
    }
    yield {"type": "message_stop"}


def _reasoned(says: AnswerReply) -> Json:
    return {} if says.reasoning is None else {"output_tokens_details": {"thinking_tokens": says.reasoning}}


def _thought(pieces: Sequence[str], signature: str) -> tuple[Json, list[Json]]:
    thoughts: list[Json] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    signed = {"type": "signature_delta", "signature": signature}
    return {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]


def _content(says: AnswerReply) -> Iterator[tuple[Json, list[Json]]]:
    """Each content block after the thinking as it starts, with its deltas."""
    if text := split_deltas(says.text):
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in text]
    for name, tool, pieces in says.tools:
        start: Json = {"type": "tool_use", "id": name, "name": tool, "input": {}}
        yield start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def render_sse(event: Json) -> bytes:
    """An event as the service writes it."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event))


def _error(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}}


def to_answer(reply: Streamed) -> AnswerReply:
    """The answer that a reply gives, or would give to its end."""
    match reply:
        case AnswerReply():
            return reply
        case GatedReply(text, thinking, tools):
            return AnswerReply(text, thinking=thinking, tools=tools)
        case CutReply(after) | ErrorEventReply(after) | StalledReply(after):
            return AnswerReply(split_deltas(after))


class DisconnectReader(StreamReader):
    """A reader that also says, without reading ahead, when the other side is gone."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


class Upstream:
    """The server. `async with Upstream() as upstream:` listens on `upstream.url`.

    requests: the requests for messages; others: all the rest, which get a 404. answering: how many answers are under
    way; held: those that wait for a `release`; hangups: how many clients left before theirs was whole. A function in
    the script that raises fails the block. Mutable: all of these, the script, and the rules that are off.

    refused: the rule that each refused request broke; a refusal takes no reply of the script.
    """

    def __init__(self, without: Iterable[str] = ()) -> None:
        self.disable_rules(*without)
        self.refused: list[str] = []
        self.requests: list[ReceivedRequest] = []
        self.others: list[ReceivedRequest] = []
        self.open_connections = 0
        self.answering = 0
        self.hangups = 0
        self._script: list[Scripted] = [AnswerReply(("Hello", " world", "!"))]
        self.held: dict[int, asyncio.Future[None]] = {}
        self._under_way: set[int] = set()
        self._free: set[int] = set()
        self._moving: set[int] = set()
        self._changed = asyncio.Condition()
        self._connections: set[asyncio.Task[None]] = set()
        self._faults: list[Exception] = []

    def __repr__(self) -> str:
        counts = f"answering={self.answering} held={len(self.held)} hangups={self.hangups}"
        return f"<Upstream requests={len(self.requests)} {counts} connections={self.open_connections}>"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: StreamReaderProtocol(DisconnectReader(MAX_HEAD_BYTES), self._accept), "127.0.0.1", 0
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._faults:
            raise ExceptionGroup("the script, or what was sent to it", self._faults)

    def script(self, *replies: Scripted) -> None:
        """Answer the requests to come with these, in order; the last one repeats."""
        assert replies
        self._script = list(replies)

    def disable_rules(self, *rules: str) -> None:
        """Enforce every rule of the real service but these, by their names in `service_rules`; none enforces all."""
        assert set(rules) <= set(RULES), sorted(set(rules) - set(RULES))
        self._without = frozenset(rules)

    async def wait_until(self, condition: Callable[[], bool], timeout: float = TEST_TIMEOUT) -> None:
        """Wait until a condition on this server's state holds. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise TimeoutError(f"not within {timeout} s: {self!r}") from None

    async def release(self) -> None:
        """Let each stream that is held take one step, and wait until it has; waits for one if none is."""
        await self.wait_until(lambda: bool(self.held))
        released = set(self.held)
        self._moving |= released
        for number in released:
            self.held.pop(number).set_result(None)
        await self.wait_until(lambda: not self._moving & released)

    async def release_all(self) -> None:
        """Let each stream that is under way go on to its end, whether it is held now or would be later."""
        self._free |= self._under_way
        for number in list(self.held):
            self.held.pop(number).set_result(None)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _hold(self, number: int) -> None:
        if number in self._free:
            return
        self.held[number] = released = asyncio.get_running_loop().create_future()
        self._moving.discard(number)
        await self._notify()
        await released

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        assert isinstance(reader, DisconnectReader)
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: DisconnectReader, writer: StreamWriter) -> None:
        self.open_connections += 1
        try:
            await self._notify()
            while received := await self._receive(reader):
                if not await self._exchange(received, reader, writer):
                    break
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        except Exception as fault:  # noqa: BLE001 # the test is told, at its end
            self._faults.append(fault)
        finally:
            writer.close()
            self.open_connections -= 1
            await self._notify()

    async def _receive(self, reader: StreamReader) -> ReceivedRequest | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError:
            return None
        method, path, _ = line.split(" ")
        number = len(self.requests) + len(self.others)
        received = ReceivedRequest(number, method, path, headers, msgspec.json.decode(body or b"{}"))
        (self.requests if received.is_message_request else self.others).append(received)
        await self._notify()
        return received

    async def _exchange(self, received: ReceivedRequest, reader: DisconnectReader, writer: StreamWriter) -> bool:
        """Answer, while the client is there; whether the connection goes on."""
        self.answering += 1
        self._under_way.add(received.number)
        answer = asyncio.create_task(self._answer(received, writer))
        gone = asyncio.create_task(reader.gone.wait())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return await answer
            self.hangups += 1
            return False
        except ConnectionError:
            self.hangups += 1
            return False
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
            self.answering -= 1
            self.held.pop(received.number, None)
            for numbers in (self._moving, self._under_way, self._free):
                numbers.discard(received.number)
            await self._notify()

    async def _answer(self, received: ReceivedRequest, writer: StreamWriter) -> bool:
        reply: Scripted = ErrorReply(404, "not_found_error", "not in the script")
        if received.is_message_request:
            reply = self._reply(received)
        if not isinstance(reply, ErrorReply):
            return await self._stream(reply, received, writer)
        data = msgspec.json.encode(_error(reply.error_type, reply.message) | {"request_id": "req_scripted"})
        fields = {"content-type": "application/json", "content-length": str(len(data))}
        limited = RATE_LIMITED if reply.status == 429 else {}
        _head(writer, reply.status, {**fields, **limited, **reply.headers})
        writer.write(data)
        await writer.drain()
        return True

    def _reply(self, received: ReceivedRequest) -> Reply:
        if refused := find_refusal(received.body, received.headers, self._without):
            rule, message = refused
            self.refused.append(rule)
            return ErrorReply(400, "invalid_request_error", message)
        reply = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return reply(received) if callable(reply) else reply

    async def _stream(self, reply: Streamed, received: ReceivedRequest, writer: StreamWriter) -> bool:
        says = to_answer(reply)
        _head(writer, 200, {**STREAM, **says.headers})
        # What is to fail before any delta fails before the thinking, too.
        thinks = (
            says.thinking is None
            and received.thinks
            and (isinstance(reply, AnswerReply | GatedReply) or bool(says.text))
        )
        edge = "content_block_stop" if says.text else "message_delta"
        clock = asyncio.get_running_loop().time
        start, count = clock(), 0
        for event in build_events(says, received, thinks=thinks):
            if thinks and event.get("index") == 0:
                _chunk(writer, render_sse(event))
                continue
            match reply, event["type"]:
                case AnswerReply(per_second=float() | int() as pace), "content_block_delta":
                    # Aimed at the stream's start, so that a late delta does not delay those after it.
                    count += 1
                    await asyncio.sleep(start + count / pace - clock())
                case GatedReply(), "content_block_delta":
                    await self._hold(received.number)
                case StalledReply(), at if at == edge:
                    await self._hold(received.number)
                case CutReply(), at if at == edge:
                    return False
                case ErrorEventReply(_, kind, message), at if at == edge:
                    _chunk(writer, render_sse(_error(kind, message)))
                    break
                case _:
                    pass
            _chunk(writer, render_sse(event))
            await writer.drain()
        _chunk(writer, b"")
        await writer.drain()
        return True


def _head(writer: StreamWriter, status: int, fields: Mapping[str, str]) -> None:
    lines = {"request-id": "req_scripted", **fields}
    writer.write("\r\n".join((f"HTTP/1.1 {status} Scripted", *map(": ".join, lines.items()), "", "")).encode("ascii"))


def _chunk(writer: StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
