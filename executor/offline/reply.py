"""Builds the replies of the offline model in the formats of the Messages API. Pure.

Invariants: it has no state, and its text always says that it is offline, so that nobody mistakes it for a model. The
formats are those of https://docs.claude.com/en/api/messages and .../messages-streaming.

Token counts are estimates: four characters of input text are one token (files and tools count nothing), and so is each
piece of output: a word of text, or eight characters of a tool's arguments. `max_tokens` cuts text, but never arguments.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from executor.offline.instance import Json, build_instance

NOTICE = "This is the offline model: no Claude login was found, so nothing was sent to Anthropic."
STRUCTURED_TOOL_NAME = "StructuredOutput"  # the tool that the CLI offers when an answer must satisfy a JSON schema
ECHO_LIMIT = 2000
FILE_NAMES = {"image": "image", "document": "document", "tool_result": "tool result"}


class OfflineBlock(Struct, frozen=True):
    """A content block, as far as it is echoed."""

    type: str
    text: str = ""


type Content = str | list[OfflineBlock]


class OfflineMessage(Struct, frozen=True):
    """A message; the CLI adds messages of role `system` after the client's own."""

    role: str
    content: Content


class OfflineTool(Struct, frozen=True):
    """An offered tool."""

    name: str
    input_schema: dict[str, Any] = {}


class ToolChoice(Struct, frozen=True):
    """Which tool must be called: `tool` means the named one, `any` the first; `auto` and `none` force no call."""

    type: str
    name: str = ""


class OfflineRequest(Struct, frozen=True):
    """A request to the model, with the fields that are used here."""

    model: str
    messages: list[OfflineMessage]
    system: Content = ""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stream: bool = False
    tools: list[OfflineTool] = []
    tool_choice: ToolChoice | None = None


class Reply(Struct, frozen=True):
    """The model's answer: pieces of text, or of the arguments for `tool`."""

    pieces: tuple[str, ...]
    stop_reason: str
    tool: str | None = None


def count_input_tokens(request: OfflineRequest) -> int:
    """Estimates the tokens of the request."""
    contents = (request.system, *(message.content for message in request.messages))
    return 1 + sum(len(block.text) for content in contents for block in _to_blocks(content)) // 4


def build_reply(request: OfflineRequest) -> Reply:
    """Builds the answer: a call of the forced tool, or the notice and an echo."""
    if tool := _find_forced_tool(request):
        arguments = msgspec.json.encode(build_instance(tool.input_schema)).decode()
        return Reply(tuple(re.findall(r"(?s).{1,8}", arguments)), "tool_use", tool.name)
    words = re.findall(r"\s*\S+|\s+", f"{NOTICE} {build_echo(_get_last_user_blocks(request))}")
    pieces = tuple(words[: request.max_tokens])
    return Reply(pieces, "end_turn" if len(pieces) == len(words) else "max_tokens")


def build_echo(blocks: Sequence[OfflineBlock]) -> str:
    """Summarizes the user's message in one sentence."""
    text = "\n".join(block.text for block in blocks if block.type == "text")
    counts = {name: sum(block.type == kind for block in blocks) for kind, name in FILE_NAMES.items()}
    parts: list[str] = []
    if len(text) > ECHO_LIMIT:
        parts.append(f"asked: «{text[:ECHO_LIMIT]}…» (the first {ECHO_LIMIT} of {len(text)} characters)")
    elif text:
        parts.append(f"asked: «{text}»")
    if any(counts.values()):
        sent = (f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count)
        parts.append(f"sent {' and '.join(sent)}")
    return f"You {' and '.join(parts) or 'asked nothing'}."


def _get_last_user_blocks(request: OfflineRequest) -> list[OfflineBlock]:
    """Returns the blocks of the user's last message."""
    last = next((message for message in reversed(request.messages) if message.role == "user"), None)
    return _to_blocks(last.content) if last else []


def _to_blocks(content: Content) -> list[OfflineBlock]:
    return [OfflineBlock("text", content)] if isinstance(content, str) else content


def _find_forced_tool(request: OfflineRequest) -> OfflineTool | None:
    match request.tool_choice:
        case ToolChoice("tool", name):
            return next((tool for tool in request.tools if tool.name == name), None)
        case ToolChoice("any"):
            return next(iter(request.tools), None)
        case ToolChoice("none"):
            return None
        case _:
            # After a call, the CLI sends only its result, and expects a closing text instead of the same call.
            called = all(block.type == "tool_result" for block in _get_last_user_blocks(request))
            return next((tool for tool in request.tools if tool.name == STRUCTURED_TOOL_NAME and not called), None)


def build_message(request: OfflineRequest, answer: Reply, name: str) -> Json:
    """Builds the answer as one message. name: makes its ids unique."""
    output = "".join(answer.pieces)
    block: Json = {"type": "text", "text": output}
    if answer.tool is not None:
        block = {"type": "tool_use", "id": f"toolu_{name}", "name": answer.tool, "input": msgspec.json.decode(output)}
    return {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [block],
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": count_input_tokens(request), "output_tokens": len(answer.pieces)},
    }


def build_events(request: OfflineRequest, answer: Reply, name: str) -> Iterator[Json]:
    """Yields the answer as the events of a stream, with a delta for each piece."""
    message = build_message(request, answer, name)
    block, usage = message["content"][0], message["usage"]
    start: Json = {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": message | start}
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
