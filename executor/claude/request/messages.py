"""A conversation as the `messages` of a request to the service. Pure.

Invariants: every message of the client reaches the model in its own role, in order, byte for byte. Consecutive requests of
one conversation share their prefix, so that the service's prompt cache holds.

What the service can't take is decided here, once:
- Text without a visible character is left out, of results too, and so is a message of nothing but thinking.
- Messages of users and results in a row are one message, results first. A picture in a result that is an error follows
  the results: the service takes nothing but text inside of one.
- A system message follows the user's message of its row. Where there is none, or the model takes no system messages, it is
  a `<system-reminder>` in a user's message, as the CLI itself puts it.
- A conversation that ends with the assistant is the beginning of the answer. Models that refuse that are asked to go on.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import cast

from executor.claude.request.blocks import (
    THINKING_BLOCKS,
    Json,
    WireTools,
    build_reminder,
    build_text_block,
    has_content,
    list_attachments,
    to_wire,
)
from executor.claude.request.model_rules import ModelRules
from executor.claude.request.tool_names import assign_wire_ids
from shared.turn import Message, Text, ToolResult, ToolUse

CONTINUE_INSTRUCTION = "Continue your last message from exactly where it ends. Do not repeat any of it."


def to_wire_messages(messages: Sequence[Message], wire: WireTools, rules: ModelRules) -> list[Json]:
    """The conversation as the service takes it."""
    spoken = [
        Message(message.role, tuple(block for block in message.content if has_content(block)))
        for message in assign_wire_ids(messages)
    ]
    spoken = [message for message in spoken if message.content and not _is_only_thinking(message)]
    sent: list[Json] = []
    for is_assistant, messages_in_row in groupby(spoken, lambda message: message.role == "assistant"):
        row = list(messages_in_row)
        sent.extend(_merge_assistant_row(row, wire) if is_assistant else _merge_user_row(row, wire, rules))
    if sent and sent[-1]["role"] == "assistant" and not rules.prefill:
        sent.append({"role": "user", "content": [build_text_block(CONTINUE_INSTRUCTION)]})
    return sent


def strip_thinking(messages: Iterable[Json]) -> list[Json]:
    """The messages without the model's own thinking, for a service that does not accept it back."""
    kept: list[Json] = []
    for message in messages:
        blocks = [block for block in _get_blocks(message) if block["type"] not in {"thinking", "redacted_thinking"}]
        if blocks:
            kept.append({**message, "content": blocks})
    return kept


def has_thinking(messages: Iterable[Json]) -> bool:
    """Whether any of the model's own thinking is sent back."""
    return any(
        block["type"] in {"thinking", "redacted_thinking"} for message in messages for block in _get_blocks(message)
    )


def add_cache_marks(messages: Sequence[Json], ttl: str) -> list[Json]:
    """The messages with cache breakpoints on the last two user messages: where this request ends, and the one before.

    The service looks for an earlier breakpoint within 20 blocks, so the one before is marked again.
    (https://docs.claude.com/en/docs/build-with-claude/prompt-caching)
    """
    mark: Json = {"cache_control": {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}}
    marked = list(messages)
    places = [at for at, message in enumerate(messages) if message["role"] == "user"]
    for at in places[-2:]:
        blocks = _get_blocks(messages[at])
        marked[at] = {**messages[at], "content": [*blocks[:-1], {**blocks[-1], **mark}]}
    return marked


def _get_blocks(message: Json) -> list[Json]:
    return cast("list[Json]", message["content"])


def _is_only_thinking(message: Message) -> bool:
    return all(isinstance(block, THINKING_BLOCKS) for block in message.content)


def _merge_assistant_row(row: Sequence[Message], wire: WireTools) -> Iterator[Json]:
    """Assistant messages in a row stay apart, but for calls, whose results must come in the next message."""
    content: list[Json] = []
    for message in row:
        content.extend(to_wire(block, wire) for block in message.content)
        if not any(isinstance(block, ToolUse) for block in message.content) and not _has_calls(content):
            yield {"role": "assistant", "content": content}
            content = []
    if content:
        yield {"role": "assistant", "content": content}


def _has_calls(content: Iterable[Json]) -> bool:
    return any(block["type"] == "tool_use" for block in content)


def _merge_user_row(row: Sequence[Message], wire: WireTools, rules: ModelRules) -> Iterator[Json]:
    results: list[Json] = []
    content: list[Json] = []
    instructions: list[Json] = []
    spoken = any(message.role == "user" for message in row)
    for message in row:
        for block in message.content:
            if isinstance(block, ToolResult):
                results.append(to_wire(block, wire))
                content.extend(to_wire(part, wire) for part in list_attachments(block))
            elif message.role == "user":
                content.append(to_wire(block, wire))
            elif isinstance(block, Text) and rules.system_messages and spoken:
                instructions.append(to_wire(block, wire))
            elif isinstance(block, Text):
                content.append(build_reminder(block.text))
    yield {"role": "user", "content": [*results, *content]}
    if instructions:
        yield {"role": "system", "content": instructions}
