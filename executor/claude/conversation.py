"""A Turn as the lines that the CLI reads on its stdin. Pure.

Law: every message of the client reaches the model as a message of its own role, in order, byte for byte. Every user
line is `client_composed`: without it the CLI would expand `@path` and run `/command` in a client's text.

What the CLI and the Messages API behind it can't take is decided here, once:
- Neighbouring user messages become one message with the same text blocks: the CLI would merge them and add line ends.
- Text without a visible character is left out: the Messages API refuses it.
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
    """System text, model and limits, in one go."""
    flags: dict[str, object] = {}
    if turn.max_tokens is not None:
        flags["env"] = {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(turn.max_tokens)}
    requests: list[dict[str, object]] = [initialize(turn.system), set_model(turn.model)]
    if flags:
        requests.append({"subtype": "apply_flag_settings", "settings": flags})
    lines = b"".join(control(f"setup-{number}", request) for number, request in enumerate(requests))
    return Step(lines, "answers", answers=len(requests))


def initialize(system: Sequence[str]) -> dict[str, object]:
    """The control request that fixes the system prompt."""
    texts = [f"{text}\n" if text == BOUNDARY else text for text in system]
    return {"subtype": "initialize", "systemPrompt": texts, "systemPromptSnapshot": False}


def set_model(model: str) -> dict[str, object]:
    """The control request that chooses the model."""
    return {"subtype": "set_model", "model": model}


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
    content = [_block(block) for block in message.content]
    return _user(content, query=query) if message.role == "user" else _assistant(content)


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
