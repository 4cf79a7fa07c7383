"""A Turn as the lines that the CLI reads on its stdin. Pure.

Law: every message of the client reaches the model as a message of its own role, in order, byte for byte. Every user
line is `client_composed`: without it the CLI would expand `@path` and run `/command` in a client's text.

What the CLI and the Messages API behind it can't take is decided here, once:
- Neighbouring user messages become one message with the same text blocks: the CLI would merge them and add line ends.
- Text without a visible character is left out: the Messages API refuses it.
- An assistant message of nothing but "(no content)" is the CLI's own placeholder, which it drops; in two blocks it is not.
- A conversation that ends with an assistant message is the beginning of the answer; an empty user line then only tells
  the CLI to go on, and adds no message.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from shared.turn import Message, Text, Turn

# The CLI takes an element of exactly this text as a mark, not as words.
BOUNDARY = "__SYSTEM_PROMPT_DYNAMIC_BOUNDARY__"
PLACEHOLDER = "(no content)"


class Step(Struct, frozen=True):
    """Lines to write, then what to wait for before the next step."""

    lines: bytes
    then: Literal["answers", "result", "events"]
    answers: int = 0


def steps(turn: Turn) -> Iterator[Step]:
    """All that is written for a turn: the setting up, the conversation so far, and the message to answer."""
    yield setup(turn)
    messages = said(turn.messages)
    *earlier, last = messages
    if last.role == "assistant":
        earlier, last = messages, None
    lines = b""
    for message in earlier:
        lines += _message(message, query=False)
        if message.role == "user":
            yield Step(lines, "result")
            lines = b""
    yield Step(lines + (_message(last, query=True) if last else _user([], query=True)), "events")


def setup(turn: Turn) -> Step:
    """System text, then model and limits, in one go."""
    chosen = set_model(turn.model, turn.max_tokens)
    lines = control("setup-0", initialize(turn.system)) + control("setup-1", chosen)
    return Step(lines, "answers", answers=2)


def initialize(system: Sequence[str]) -> dict[str, object]:
    """The control request that fixes the system prompt."""
    texts = [f"{text}\n" if text == BOUNDARY else text for text in system]
    return {"subtype": "initialize", "systemPrompt": texts, "systemPromptSnapshot": False}


def set_model(model: str, max_tokens: int | None = None) -> dict[str, object]:
    """The control request that chooses the model, and the most it may write.

    As a setting, because the CLI tries a model that it does not know, with a message of its own to the service, when
    it is told of it by the request `set_model`.
    """
    settings: dict[str, object] = {"model": model}
    if max_tokens is not None:
        settings["env"] = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(max_tokens)}
    return {"subtype": "apply_flag_settings", "settings": settings}


def control(request_id: str, request: dict[str, object]) -> bytes:
    """A control request as a line."""
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def not_available(request_id: str) -> bytes:
    """The answer to a question of the CLI that a chat gives it no reason to ask."""
    response = {"subtype": "error", "request_id": request_id, "error": "not available"}
    return _line({"type": "control_response", "response": response})


def said(messages: Sequence[Message]) -> list[Message]:
    """The messages without what says nothing, neighbouring user messages joined block by block."""
    result: list[Message] = []
    for message in messages:
        content = tuple(block for block in message.content if block.text.strip())
        if not content:
            continue
        if message.role == "user" and result and result[-1].role == "user":
            result[-1] = Message("user", result[-1].content + content)
        else:
            result.append(Message(message.role, content))
    return result


def _message(message: Message, *, query: bool) -> bytes:
    if message.role == "user":
        return _user([_block(block) for block in message.content], query=query)
    blocks = message.content
    if all(block.text.strip() == PLACEHOLDER for block in blocks):
        head, tail = blocks[0].text.split(" content", 1)
        blocks = (Text(head), Text(f" content{tail}"), *blocks[1:])
    return _assistant([_block(block) for block in blocks])


def _user(content: list[dict[str, object]], *, query: bool) -> bytes:
    line = {
        "type": "user",
        "message": {"role": "user", "content": content},
        "parent_tool_use_id": None,
        "session_id": "",
        "client_composed": True,
    }
    return _line(line if query else {**line, "shouldQuery": False})


def _assistant(content: list[dict[str, object]]) -> bytes:
    return _line(
        {
            "type": "assistant",
            "message": {"role": "assistant", "content": content},
            "parent_tool_use_id": None,
            "session_id": "",
        }
    )


def _block(block: Text) -> dict[str, object]:
    return {"type": "text", "text": block.text}


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
