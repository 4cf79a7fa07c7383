"""Converts the items of a Responses `input` to drafts of messages, for every address that accepts them. Pure.

Invariants: items keep their order. Consecutive assistant items become one message, because its calls belong together.
Thoughts are sent back to the model only in the sealed form that this server returned.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import cast

import msgspec

from api.conversation import content
from api.conversation.drafts import Draft, DraftBlock, DraftResult
from api.conversation.parts import ITEM_DECODER, Item
from api.conversation.tools import CUSTOM_TOOL_FIELD, qualify_name
from api.core.problems import invalid_problem
from shared.turn import RedactedThinking, Role, Text, Thinking, ToolUse

type Thought = Thinking | RedactedThinking

# Marks the thoughts that this server sealed; the model can't use those of other servers.
THOUGHT_PREFIX = "claude-api-server.1."
# Items of tools that a vendor runs itself; a model of another vendor can't use them.
VENDOR_TOOL_ITEMS = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
        *("computer_call", "computer_call_output", "tool_search_call", "tool_search_output"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"),
        *("compaction", "compaction_summary", "item_reference"),
    }
)
# The names of a client's shell and patch tools, by the type of the call.
LOCAL_TOOL_NAMES = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
}
RESULT_TYPES = frozenset(
    {
        *("function_call_output", "custom_tool_call_output"),
        *("local_shell_call_output", "shell_call_output", "apply_patch_call_output"),
    }
)

_thoughts = msgspec.json.Decoder(list[Thought])


def seal_thoughts(thoughts: Iterable[Thought]) -> str:
    """Returns thoughts as an opaque text, which the client stores."""
    return THOUGHT_PREFIX + urlsafe_b64encode(msgspec.json.encode(list(thoughts))).decode()


def unseal_thoughts(text: str | None) -> tuple[Thought, ...]:
    """Returns the thoughts in a sealed text; none if another server made it."""
    if not text or not text.startswith(THOUGHT_PREFIX):
        return ()
    try:
        return tuple(_thoughts.decode(urlsafe_b64decode(text.removeprefix(THOUGHT_PREFIX))))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return ()


def parse_items(items: Iterable[tuple[str, msgspec.Raw]]) -> tuple[tuple[Draft, ...], tuple[str, ...]]:
    """Returns the drafts of items, system messages included, and the types of the ignored items. Raises Problem (400, 413).

    items: each with its place in the request.
    """
    drafts: list[Draft] = []
    skipped: list[str] = []
    for where, raw in items:
        # Some clients send plain strings as items.
        item = Item(content=raw) if bytes(raw).startswith(b'"') else ITEM_DECODER.decode(raw, where)
        kind = item.type or "message"
        if kind in VENDOR_TOOL_ITEMS:
            skipped.append(f"input.{kind}")
        elif kind == "message" and item.role in {"system", "developer"}:
            texts = content.parse_texts(item.content, f"{where}.content", content.RESPONSES_PART_NAMES)
            drafts.append(Draft("system", texts, where))
        elif kind == "message" and item.role in {None, "user"}:
            drafts.append(Draft("user", _parse_message_blocks(item, "user", where), where))
        elif kind in RESULT_TYPES:
            drafts.append(Draft("user", (_parse_result(item, kind, where),), where))
        elif kind == "reasoning" and not unseal_thoughts(item.encrypted_content):
            if has_thoughts(raw):
                skipped.append("input.reasoning")
        else:
            _append_assistant_blocks(drafts, _parse_assistant_item(item, kind, where), where)
    return tuple(_drop_trailing_thoughts(drafts)), tuple(dict.fromkeys(skipped))


def _parse_message_blocks(item: Item, role: Role, where: str) -> tuple[DraftBlock, ...]:
    return content.parse_blocks(item.content, role, f"{where}.content", content.RESPONSES_PART_NAMES)


def has_thoughts(raw: msgspec.Raw) -> bool:
    """Whether a reasoning item has any text or encrypted content."""
    fields = msgspec.json.decode(bytes(raw), type=dict[str, object])
    return any(fields.get(name) for name in ("summary", "content", "encrypted_content"))


def _parse_assistant_item(item: Item, kind: str, where: str) -> tuple[DraftBlock, ...]:
    """Returns the blocks of an assistant item. Raises Problem."""
    match kind:
        case "message":
            if item.role != "assistant":
                known = "system, developer, user or assistant"
                raise invalid_problem(f"`{where}.role` must be {known}, not `{item.role}`.", f"{where}.role")
            return _parse_message_blocks(item, "assistant", where)
        case "reasoning":
            return unseal_thoughts(item.encrypted_content)
        case "function_call":
            arguments = content.read_arguments(item.arguments, f"{where}.arguments")
            return (ToolUse(_get_call_id(item, where), _get_tool_name(item, where), arguments),)
        case "custom_tool_call":
            text = msgspec.json.encode({CUSTOM_TOOL_FIELD: item.input or ""}).decode()
            return (ToolUse(_get_call_id(item, where), _get_tool_name(item, where), text),)
        case _ if kind in LOCAL_TOOL_NAMES:
            field = "operation" if kind == "apply_patch_call" else "action"
            arguments = content.read_arguments(getattr(item, field), f"{where}.{field}")
            return (ToolUse(_get_call_id(item, where), LOCAL_TOOL_NAMES[kind], arguments),)
        case _:
            raise invalid_problem(f"`{where}`: items of type `{kind}` are not supported.", f"{where}.type")


def _append_assistant_blocks(drafts: list[Draft], blocks: tuple[DraftBlock, ...], where: str) -> None:
    if drafts and drafts[-1].role == "assistant":
        drafts[-1] = Draft("assistant", (*drafts[-1].content, *blocks), drafts[-1].where)
    else:
        drafts.append(Draft("assistant", blocks, where))


def _drop_trailing_thoughts(drafts: list[Draft]) -> Iterable[Draft]:
    """Yields the drafts without thoughts at their end, which the service rejects."""
    for draft in drafts:
        blocks = draft.content
        while blocks and isinstance(blocks[-1], Thinking | RedactedThinking):
            blocks = blocks[:-1]
        if blocks or draft.role != "assistant":
            yield Draft(draft.role, blocks, draft.where)


def _parse_result(item: Item, kind: str, where: str) -> DraftResult:
    call = _get_call_id(item, where)
    sent = cast("object", msgspec.json.decode(item.output))
    if kind == "shell_call_output" or isinstance(sent, dict):
        # The output of a shell is an object; the model can read its JSON.
        return DraftResult(call, (Text(bytes(item.output).decode()),))
    parts = content.parse_parts(item.output, f"{where}.output", content.RESPONSES_PART_NAMES)
    return DraftResult(call, parts, is_error=item.status == "failed")


def _get_tool_name(item: Item, where: str) -> str:
    if not item.name:
        raise invalid_problem(f"`{where}.name` is missing.", f"{where}.name")
    return qualify_name(item.namespace, item.name)


def _get_call_id(item: Item, where: str) -> str:
    # Older local shell calls have an `id` only.
    call = item.call_id or item.id
    if not call:
        raise invalid_problem(f"`{where}.call_id` is missing.", f"{where}.call_id")
    return call
