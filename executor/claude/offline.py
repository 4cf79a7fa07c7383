"""The offline model: a small Messages API on loopback, behind the real CLI when its owner has no credential.

Law: it sends nothing anywhere, remembers nothing and never passes for a model: what it writes says that it is offline.
The formats are those of https://docs.claude.com/en/api/messages, .../messages-streaming and .../errors.

Its tokens are estimates: four characters of text read are one (files and tools count nothing), and so is each piece written:
a word of text, or eight characters of a tool's arguments. `max_tokens` cuts text; arguments are always whole.
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct

NOTICE = "This is the offline model: no Claude login was found, so nothing was sent to Anthropic."
STRUCTURED_OUTPUT = "StructuredOutput"  # the tool that the CLI offers when an answer must keep to a JSON schema
ECHO_LIMIT = 2000
MAX_BODY = 256 * 1024 * 1024
SCHEMA_LIMIT = 10_000

FILES = {"image": "image", "document": "document", "tool_result": "tool result"}
FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "email": "offline@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# A bound's name, and how far inside it an allowed number lies.
LOW = (("minimum", 0), ("exclusiveMinimum", 1))
HIGH = (("maximum", 0), ("exclusiveMaximum", 1))


type Json = dict[str, Any]


class Block(Struct, frozen=True):
    """A content block, as far as it is echoed."""

    type: str
    text: str = ""


type Content = str | list[Block]


class Message(Struct, frozen=True):
    """A message; the CLI adds some of role `system` after the client's own."""

    role: str
    content: Content


class Tool(Struct, frozen=True):
    """A tool on offer."""

    name: str
    input_schema: dict[str, Any] = {}


class ToolChoice(Struct, frozen=True):
    """Which tool must be called: `tool` the one named, `any` the first; `auto` and `none` force nothing."""

    type: str
    name: str = ""


class Request(Struct, frozen=True):
    """What the model is asked, as far as it matters here."""

    model: str
    messages: list[Message]
    system: Content = ""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stream: bool = False
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None


class Reply(Struct, frozen=True):
    """What the model answers: pieces of text, or of the arguments for `tool`."""

    pieces: tuple[str, ...]
    stop_reason: str
    tool: str | None = None


def tokens_read(request: Request) -> int:
    """How many tokens the request counts for."""
    contents = (request.system, *(message.content for message in request.messages))
    return 1 + sum(len(block.text) for content in contents for block in _blocks(content)) // 4


def reply(request: Request) -> Reply:
    """The answer: a call of the tool that must be called, or the notice and an echo."""
    if tool := _must_call(request):
        arguments = msgspec.json.encode(instance(tool.input_schema)).decode()
        return Reply(tuple(re.findall(r"(?s).{1,8}", arguments)), "tool_use", tool.name)
    words = re.findall(r"\s*\S+|\s+", f"{NOTICE} {echo(_asked(request))}")
    said = tuple(words[: request.max_tokens])
    return Reply(said, "end_turn" if len(said) == len(words) else "max_tokens")


def echo(blocks: Sequence[Block]) -> str:
    """What was asked, in one sentence."""
    text = "\n".join(block.text for block in blocks if block.type == "text")
    counts = {name: sum(block.type == kind for block in blocks) for kind, name in FILES.items()}
    parts: list[str] = []
    if len(text) > ECHO_LIMIT:
        parts.append(f"asked: «{text[:ECHO_LIMIT]}…» (the first {ECHO_LIMIT} of {len(text)} characters)")
    elif text:
        parts.append(f"asked: «{text}»")
    if any(counts.values()):
        sent = (f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count)
        parts.append(f"sent {' and '.join(sent)}")
    return f"You {' and '.join(parts) or 'asked nothing'}."


def _asked(request: Request) -> list[Block]:
    """The last message of the user's."""
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    return _blocks(last.content) if last else []


def _blocks(content: Content) -> list[Block]:
    return [Block("text", content)] if isinstance(content, str) else content


def _must_call(request: Request) -> Tool | None:
    match request.tool_choice:
        case ToolChoice("tool", name):
            return next((tool for tool in request.tools if tool.name == name), None)
        case ToolChoice("any"):
            return next(iter(request.tools), None)
        case ToolChoice("none"):
            return None
        case _:
            # After a call, the CLI sends its result alone, and wants a last word rather than the same call again.
            called = all(block.type == "tool_result" for block in _asked(request))
            return next((tool for tool in request.tools if tool.name == STRUCTURED_OUTPUT and not called), None)


class _Endless(Exception):
    """Only an endless value would meet the schema, or one too large to be of use."""


def instance(schema: Json) -> Json:
    """A small object that meets an ordinary JSON schema; an empty one where it can't be made."""
    try:
        made = _build(schema, schema, frozenset(), iter(range(SCHEMA_LIMIT)))
    except (_Endless, RecursionError, AttributeError, LookupError, TypeError, ValueError):
        # A schema that is none is not refused here: the CLI judges the answer.
        made = {}
    return cast("Json", made) if isinstance(made, dict) else {}


def _build(node: Any, schema: Json, refs: frozenset[str], budget: Iterator[int]) -> Any:
    """A value for `node`, a part of `schema` reached through `refs`. Raises _Endless."""
    if next(budget, None) is None:
        raise _Endless
    match node:
        case {"const": value} | {"enum": [value, *_]} | {"default": value}:
            return value
        case {"$ref": str(ref)}:
            if ref in refs:
                raise _Endless
            return _build(_pointed(schema, ref), schema, refs | {ref}, budget)
        case {"anyOf": [*options]} | {"oneOf": [*options]} | {"allOf": [*options]}:
            for option in options:
                with contextlib.suppress(_Endless):
                    return _build(option, schema, refs, budget)
            raise _Endless
        case _:
            return _typed(node, lambda part: _build(part, schema, refs, budget))


def _typed(node: Any, build: Callable[[Any], Any]) -> Any:
    match node:
        case {"type": [kind, *_]}:
            return build({**node, "type": kind})
        case {"type": "object"} | {"properties": _}:
            parts = node.get("properties", {})
            return {name: build(parts.get(name)) for name in node.get("required", [])}
        case {"type": "array"}:
            return [build(node.get("items")) for _ in range(node.get("minItems", 0))]
        case {"type": "string"}:
            text = FORMATS.get(node.get("format", ""), "offline")
            return text.ljust(min(node.get("minLength", 0), SCHEMA_LIMIT), ".")[: node.get("maxLength")]
        case {"type": "integer" | "number"}:
            low = max((node[name] + over for name, over in LOW if name in node), default=0)
            return min([max(low, 0), *(node[name] - over for name, over in HIGH if name in node)])
        case {"type": "boolean"}:
            return False
        case _:
            return None


def _pointed(schema: Any, ref: str) -> Any:
    """The part of `schema` that a JSON pointer such as `#/$defs/Name` names. Raises LookupError."""
    for name in ref.removeprefix("#").split("/")[1:]:
        schema = schema[name.replace("~1", "/").replace("~0", "~")]
    return schema


def message(request: Request, answer: Reply, name: str) -> Json:
    """The answer as one message. name: what makes its ids unlike any other's."""
    whole = "".join(answer.pieces)
    block: Json = {"type": "text", "text": whole}
    if answer.tool is not None:
        block = {"type": "tool_use", "id": f"toolu_{name}", "name": answer.tool, "input": msgspec.json.decode(whole)}
    return {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [block],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens_read(request), "output_tokens": len(answer.pieces)},
    }


def events(request: Request, answer: Reply, name: str) -> Iterator[Json]:
    """The answer as the events of a stream, a delta for each piece."""
    whole = message(request, answer, name)
    block, usage = whole["content"][0], whole["usage"]
    start: Json = {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": whole | start}
    empty: Json = {"text": ""} if answer.tool is None else {"input": {}}
    yield {"type": "content_block_start", "index": 0, "content_block": block | empty}
    kind, field = ("text_delta", "text") if answer.tool is None else ("input_json_delta", "partial_json")
    for piece in answer.pieces:
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": answer.stop_reason, "stop_sequence": None},
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    yield {"type": "message_stop"}


def error(kind: str, sentence: str) -> Json:
    """The service's error envelope."""
    return {"type": "error", "error": {"type": kind, "message": sentence}}


class Malformed(Exception):
    """Not a request this server can read; the message says why."""


_request = msgspec.json.Decoder(Request)


class Http(Struct, frozen=True):
    """One HTTP request; path: without its query."""

    method: str
    path: str
    body: bytes


async def read_http(reader: asyncio.StreamReader) -> Http | None:
    """The next request; None when the client closed. Raises Malformed."""
    try:
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        method, target, version = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        length = headers.get("content-length", "0")
        if version != "HTTP/1.1" or "transfer-encoding" in headers or not re.fullmatch("[0-9]{1,18}", length):
            raise Malformed("HTTP/1.1 with a Content-Length is spoken here")
        if int(length) > MAX_BODY:
            raise Malformed(f"a body of {length} bytes; at most {MAX_BODY} are read")
        return Http(method, target.partition("?")[0], await reader.readexactly(int(length)))
    except asyncio.IncompleteReadError as cut:
        if cut.partial and cut.expected is None:
            raise Malformed("the request is cut short") from cut
        return None
    except asyncio.LimitOverrunError as long:
        raise Malformed("the head of the request is too long") from long
    except ValueError as odd:
        raise Malformed("the request line is not one of HTTP") from odd


def head(status: str, *fields: str) -> bytes:
    """A response's head."""
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode("ascii")


class OfflineModel:
    """The server. delay: seconds before each piece, so that a stream is seen to stream.

    Mutable: the socket it listens on, and a task for each connection.
    """

    def __init__(self, delay: float = 0.01) -> None:
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen on a free port of loopback; the base URL."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """End every connection, answered or not."""
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while http := await read_http(reader):
                await self._answer(http, writer)
        except Malformed as odd:
            with contextlib.suppress(ConnectionError):
                await _send(writer, "400 Bad Request", error("invalid_request_error", str(odd)), "connection: close")
        except asyncio.CancelledError:
            # The client may not be reading, and closing waits for it.
            writer.transport.abort()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, http: Http, writer: asyncio.StreamWriter) -> None:
        """Answer one request. Raises Malformed."""
        if http.method != "POST" or http.path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            lost = error("not_found_error", "The offline model answers POST /v1/messages and its count_tokens only.")
            await _send(writer, "404 Not Found", lost, body=http.method != "HEAD")
            return
        try:
            request = _request.decode(http.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as odd:
            raise Malformed(f"the body is not a request for a message: {odd}") from odd
        name = uuid.uuid4().hex
        if http.path.endswith("count_tokens"):
            await _send(writer, "200 OK", {"input_tokens": tokens_read(request)})
        elif request.stream:
            await self._stream(events(request, reply(request), name), writer)
        else:
            await _send(writer, "200 OK", message(request, reply(request), name))

    async def _stream(self, stream: Iterator[Json], writer: asyncio.StreamWriter) -> None:
        fields = ("content-type: text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        await _write(writer, head("200 OK", *fields))
        for event in stream:
            if event["type"] == "content_block_delta":
                await asyncio.sleep(self._delay)
            data = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event))
            await _write(writer, b"%x\r\n%b\r\n" % (len(data), data))
        await _write(writer, b"0\r\n\r\n")


async def _send(writer: asyncio.StreamWriter, status: str, value: Json, *more: str, body: bool = True) -> None:
    data = msgspec.json.encode(value)
    start = head(status, "content-type: application/json", f"content-length: {len(data)}", *more)
    await _write(writer, start + data if body else start)


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write. Raises ConnectionError when the client is gone, which uvloop would call a RuntimeError."""
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(data)
    await writer.drain()
