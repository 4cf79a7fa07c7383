"""Builds the `messages` of a request to the service from a conversation. Pure.

Invariants: every message of the client reaches the model in its own role, in order, byte for byte. Consecutive requests of
one conversation share their prefix, so that the service's prompt cache can be used.

This module adapts what the service does not accept:
- Text without a visible character is omitted, also in results, and so is a message that contains only thinking.
- Consecutive messages of users and results become one message, results first. A picture in a result that is an error
  follows the results: the service accepts only text inside such a result.
- A system message follows the user's message of its row. Where there is none, or the model accepts no system messages, it
  becomes a `<system-reminder>` in a user's message, as in the CLI itself.
- A conversation that ends with the assistant prefills the answer. Models that reject that are instructed to continue.
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
    """Builds the conversation in the service's form."""
    cleaned = [
        Message(message.role, tuple(block for block in message.content if has_content(block)))
        for message in assign_wire_ids(messages)
    ]
    cleaned = [message for message in cleaned if message.content and not _is_only_thinking(message)]
    wire_messages: list[Json] = []
    for is_assistant, messages_in_row in groupby(cleaned, lambda message: message.role == "assistant"):
        row = list(messages_in_row)
        wire_messages.extend(_merge_assistant_row(row, wire) if is_assistant else _merge_user_row(row, wire, rules))
    if wire_messages and wire_messages[-1]["role"] == "assistant" and not rules.prefill:
        wire_messages.append({"role": "user", "content": [build_text_block(CONTINUE_INSTRUCTION)]})
    return wire_messages


def strip_thinking(messages: Iterable[Json]) -> list[Json]:
    """Returns the messages without the model's own thinking, for a service that does not accept it back."""
    stripped: list[Json] = []
    for message in messages:
        blocks = [block for block in _get_blocks(message) if block["type"] not in {"thinking", "redacted_thinking"}]
        if blocks:
            stripped.append({**message, "content": blocks})
    return stripped


def has_thinking(messages: Iterable[Json]) -> bool:
    """Whether the messages contain any of the model's own thinking."""
    return any(
        block["type"] in {"thinking", "redacted_thinking"} for message in messages for block in _get_blocks(message)
    )


def add_cache_marks(messages: Sequence[Json], ttl: str) -> list[Json]:
    """Adds cache breakpoints to the last two user messages: the end of this request, and the end of the one before.

    The service looks for an earlier breakpoint within 20 blocks, so the earlier one is marked again.
    (https://docs.claude.com/en/docs/build-with-claude/prompt-caching)
    """
    mark: Json = {"cache_control": {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}}
    marked = list(messages)
    user_indexes = [index for index, message in enumerate(messages) if message["role"] == "user"]
    for index in user_indexes[-2:]:
        blocks = _get_blocks(messages[index])
        marked[index] = {**messages[index], "content": [*blocks[:-1], {**blocks[-1], **mark}]}
    return marked


def _get_blocks(message: Json) -> list[Json]:
    return cast("list[Json]", message["content"])


def _is_only_thinking(message: Message) -> bool:
    return all(isinstance(block, THINKING_BLOCKS) for block in message.content)


def _merge_assistant_row(row: Sequence[Message], wire: WireTools) -> Iterator[Json]:
    """Yields consecutive assistant messages separately, but merges from a call on: its results must follow in the next one."""
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
    has_user_message = any(message.role == "user" for message in row)
    for message in row:
        for block in message.content:
            if isinstance(block, ToolResult):
                results.append(to_wire(block, wire))
                content.extend(to_wire(part, wire) for part in list_attachments(block))
            elif message.role == "user":
                content.append(to_wire(block, wire))
            elif isinstance(block, Text) and rules.system_messages and has_user_message:
                instructions.append(to_wire(block, wire))
            elif isinstance(block, Text):
                content.append(build_reminder(block.text))
    yield {"role": "user", "content": [*results, *content]}
    if instructions:
        yield {"role": "system", "content": instructions}
