"""A Turn as the lines that the CLI reads on its stdin. Pure.

Law: every message of the client reaches the model as a message of its own role, in order, byte for byte. Every user
line is `client_composed`: without it the CLI would expand `@path` and run `/command` in a client's text.

What the CLI and the Messages API behind it can't take is decided here, once:
- Neighbouring user messages become one message with the same text blocks: the CLI would merge them and add line ends.
- Text without a visible character is left out, of results too: the Messages API refuses it.
- An assistant message of nothing but "(no content)" is the CLI's own placeholder, which it drops; in two blocks it is not.
- A conversation that ends with an assistant message is the beginning of the answer; an empty user line then only tells
  the CLI to go on, and adds no message.
- Thinking goes to the service only under the name of the model that is asked, in full: the CLI drops that of another's.
- An assistant message of nothing but thinking is left out, as the CLI would: users' words around it are then neighbours.
"""

import hashlib
import re
from collections.abc import Generator, Sequence
from itertools import takewhile
from typing import Literal

import msgspec
from msgspec import Struct

from executor.claude.schema import wrapped
from executor.claude.tools import STRUCTURED, Names, offer
from shared.turn import Block, Document, Image, Message, RedactedThinking, Text, Thinking, ToolResult, ToolUse, Turn

# The CLI takes an element of exactly this text as a mark, not as words.
BOUNDARY = "__SYSTEM_PROMPT_DYNAMIC_BOUNDARY__"
PLACEHOLDER = "(no content)"
THOUGHT = Thinking | RedactedThinking
# Models that refuse to be forced to call a tool while they think; later ones take both.
THINKS_OR_IS_FORCED = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-7])?(-20\d{6})?$)")


class Step(Struct, frozen=True):
    """Lines to write, then what to wait for before the next step. needs: a tool that the CLI must have by then."""

    lines: bytes
    then: Literal["answers", "result", "events"]
    answers: int = 0
    needs: str = ""


def steps(turn: Turn, names: Names, *, bare: bool = False) -> Generator[Step, str | None]:
    """All that is written for a turn: the setting up, the conversation so far, and the message to answer.

    A step that waits for a result may be sent the model's full id, which the CLI tells by then.
    """
    yield setup(turn, names, bare=bare)
    model = turn.model
    messages = said(turn.messages)
    if turn.schema:
        # The CLI drops a schema that it can't compile without a word; what it has is known before anything is spent.
        model = (yield Step(_user([], query=False), "result", needs=STRUCTURED)) or model
    elif any(_thought(message) for message in takewhile(lambda message: message.role == "assistant", messages)):
        model = (yield Step(_user([], query=False), "result")) or model
    *earlier, last = messages
    if last.role == "assistant":
        earlier, last = messages, None
    lines = b""
    for message in earlier:
        lines += _message(message, names, model, query=False)
        if message.role == "user":
            model = (yield Step(lines, "result")) or model
            lines = b""
    yield Step(lines + (_message(last, names, model, query=True) if last else _user([], query=True)), "events")


def setup(turn: Turn, names: Names, *, bare: bool) -> Step:
    """System text, tools, schema, model and limits, in one go."""
    begin = {**initialize(turn.system), **offer(turn.tools, names, bare=bare, held=turn.held)}
    if turn.schema:
        begin["jsonSchema"] = wrapped(turn.schema)
    lines = control("setup-0", begin) + control("setup-1", set_model(turn.model, **settings(turn, names)))
    return Step(lines, "answers", answers=2)


def settings(turn: Turn, names: Names) -> dict[str, object]:
    """What a turn wants beside its model."""
    environment: dict[str, str] = {}
    if turn.max_tokens is not None:
        environment["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(turn.max_tokens)
    if body := extra_body(turn, names):
        environment["CLAUDE_CODE_EXTRA_BODY"] = msgspec.json.encode(body).decode()
    flags: dict[str, object] = {"env": environment} if environment else {}
    return {**flags, "effortLevel": turn.effort} if turn.effort else flags


def extra_body(turn: Turn, names: Names) -> dict[str, object]:
    """The fields of the Messages API's request that the CLI has no flag for."""
    body: dict[str, object] = {}
    # The service refuses a stop text without a visible character; those are watched for on this side only.
    if (stops := [stop for stop in turn.stop if stop.strip()]) and not turn.schema:
        body["stop_sequences"] = stops
    if turn.tools and (turn.tool_choice != "auto" or not turn.parallel_tools):
        choice: dict[str, object] = {"type": turn.tool_choice}
        if turn.tool_choice == "tool":
            choice["name"] = names.wire(turn.forced_tool or "")
        if not turn.parallel_tools and turn.tool_choice != "none":
            choice["disable_parallel_tool_use"] = True
        body["tool_choice"] = choice
        if turn.tool_choice in {"any", "tool"} and THINKS_OR_IS_FORCED.match(turn.model):
            body["thinking"] = {"type": "disabled"}
    return body


def initialize(system: Sequence[str]) -> dict[str, object]:
    """The control request that fixes the system prompt."""
    texts = [f"{text}\n" if text == BOUNDARY else text for text in system]
    return {"subtype": "initialize", "systemPrompt": texts, "systemPromptSnapshot": False}


def set_model(model: str, **more: object) -> dict[str, object]:
    """The control request that chooses the model, and sets more.

    As a setting, because the CLI tries a model that it does not know, with a message of its own to the service, when
    it is told of it by the request `set_model`.
    """
    return {"subtype": "apply_flag_settings", "settings": {"model": model, **more}}


def control(request_id: str, request: dict[str, object]) -> bytes:
    """A control request as a line."""
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def mcp_answer(request_id: str, message: dict[str, object]) -> bytes:
    """The answer to a message of the CLI for our MCP server."""
    response = {"subtype": "success", "request_id": request_id, "response": {"mcp_response": message}}
    return _line({"type": "control_response", "response": response})


def allowed(request_id: str, arguments: str) -> bytes:
    """Leave for a call, with its arguments as they are."""
    leave = {"behavior": "allow", "updatedInput": msgspec.Raw(arguments.encode())}
    response = {"subtype": "success", "request_id": request_id, "response": leave}
    return _line({"type": "control_response", "response": response})


def unforced(turn: Turn, names: Names) -> bytes:
    """What lets the model choose for itself from its second message on: a call that was demanded was made."""
    free = msgspec.structs.replace(turn, tool_choice="auto", forced_tool=None)
    body = {**extra_body(turn, names), **extra_body(free, names)}
    if turn.parallel_tools:
        del body["tool_choice"]
    settings = {"env": {"CLAUDE_CODE_EXTRA_BODY": msgspec.json.encode(body).decode()}}
    return control("unforced", {"subtype": "apply_flag_settings", "settings": settings})


def not_available(request_id: str) -> bytes:
    """The answer to a question of the CLI that a chat gives it no reason to ask."""
    response = {"subtype": "error", "request_id": request_id, "error": "not available"}
    return _line({"type": "control_response", "response": response})


def said(messages: Sequence[Message]) -> list[Message]:
    """The messages without what says nothing, neighbouring user messages joined block by block."""
    result: list[Message] = []
    for message in messages:
        content = tuple(block for block in message.content if _says_something(block))
        if all(isinstance(block, THOUGHT) for block in content):
            continue
        if message.role == "user" and result and result[-1].role == "user":
            result[-1] = Message("user", result[-1].content + content)
        else:
            result.append(Message(message.role, content))
    return result


def _message(message: Message, names: Names, model: str, *, query: bool) -> bytes:
    if message.role == "user":
        return _user([_block(block, names) for block in message.content], query=query)
    blocks = message.content
    if isinstance(blocks[0], Text) and all(isinstance(b, Text) and b.text.strip() == PLACEHOLDER for b in blocks):
        head, tail = blocks[0].text.split(" content", 1)
        blocks = (Text(head), Text(f" content{tail}"), *blocks[1:])
    return _assistant([_block(block, names) for block in blocks], model if _thought(message) else None)


def _thought(message: Message) -> bool:
    return any(isinstance(block, THOUGHT) for block in message.content)


def _user(content: list[dict[str, object]], *, query: bool) -> bytes:
    line = {
        "type": "user",
        "message": {"role": "user", "content": content},
        "parent_tool_use_id": None,
        "session_id": "",
        "client_composed": True,
    }
    return _line(line if query else {**line, "shouldQuery": False})


def _assistant(content: list[dict[str, object]], model: str | None) -> bytes:
    return _line(
        {
            "type": "assistant",
            "message": {"role": "assistant", "content": content, **({"model": model} if model else {})},
            "parent_tool_use_id": None,
            "session_id": "",
        }
    )


def _block(block: Block, names: Names) -> dict[str, object]:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, data):
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
        case Document(media_type, data, title, context):
            form = "text" if media_type == "text/plain" else "base64"
            source = {"type": form, "media_type": media_type, "data": data}
            about = {"title": title, "context": context}
            return {"type": "document", "source": source, **{name: text for name, text in about.items() if text}}
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case RedactedThinking(data):
            return {"type": "redacted_thinking", "data": data}
        case ToolUse(call_id, name, arguments):
            return {
                "type": "tool_use",
                "id": wire_id(call_id),
                "name": names.wire(name),
                "input": msgspec.Raw(arguments.encode()),
            }
        case ToolResult(call_id, content, is_error):
            parts = [_block(part, names) for part in content if _says_something(part)]
            error: dict[str, object] = {"is_error": True} if is_error else {}
            return {"type": "tool_result", "tool_use_id": wire_id(call_id), "content": parts, **error}


def _says_something(block: Block) -> bool:
    return not isinstance(block, Text) or bool(block.text.strip())


def wire_id(call_id: str) -> str:
    """A call's id as the service takes it; another vendor's may have characters that it does not."""
    if re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", call_id):
        return call_id
    return f"call_{hashlib.sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
