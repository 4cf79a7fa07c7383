"""The items of a Responses `input` as drafts of messages, whichever address they are posted to. Pure.

Law: items keep their order; neighbours of the assistant's are one message, since its calls belong together. Thoughts go
back to the model only in the form in which this server gave them out.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import cast

import msgspec
from msgspec import Struct

from api.conversation import content
from api.conversation.drafts import Draft, DraftBlock, DraftResult
from api.conversation.parts import ITEMS, Item
from api.conversation.tools import CUSTOM_FIELD, qualified
from api.core.problems import invalid
from shared.turn import RedactedThinking, Role, Text, Thinking, ToolUse

type Thought = Thinking | RedactedThinking

# Our mark on thoughts: others' can't be given to the model.
OURS = "claude-api-server.1."
# What a vendor's own tools did, which no model of another vendor's can be told.
HOSTED_CALLS = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
        *("computer_call", "computer_call_output", "tool_search_call", "tool_search_output"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"),
        *("compaction", "compaction_summary", "item_reference"),
    }
)
# What a client's own shell or patch was asked to do, by the type of its call: the name of the tool.
LOCAL_CALLS = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
}
RESULTS = frozenset(
    {
        *("function_call_output", "custom_tool_call_output"),
        *("local_shell_call_output", "shell_call_output", "apply_patch_call_output"),
    }
)

_thoughts = msgspec.json.Decoder(list[Thought])


class Said(Struct, frozen=True):
    """What the items say, system messages included. skipped: the types of those that mean nothing here."""

    drafts: tuple[Draft, ...]
    skipped: tuple[str, ...]


def sealed(thoughts: Iterable[Thought]) -> str:
    """Thoughts as the text that a client keeps for them."""
    return OURS + urlsafe_b64encode(msgspec.json.encode(list(thoughts))).decode()


def unsealed(text: str | None) -> tuple[Thought, ...]:
    """The thoughts in a text of ours; none in another's."""
    if not text or not text.startswith(OURS):
        return ()
    try:
        return tuple(_thoughts.decode(urlsafe_b64decode(text.removeprefix(OURS))))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return ()


def said(items: Iterable[tuple[str, msgspec.Raw]]) -> Said:
    """What items say, each with its place in the request. Raises Problem (400, 413)."""
    drafts: list[Draft] = []
    skipped: list[str] = []
    for where, raw in items:
        # Some clients put a text among the items.
        item = Item(content=raw) if bytes(raw).startswith(b'"') else ITEMS.read(raw, where)
        kind = item.type or "message"
        if kind in HOSTED_CALLS:
            skipped.append(f"input.{kind}")
        elif kind == "message" and item.role in {"system", "developer"}:
            place = f"{where}.content"
            sent = content.content_of(item.content, place)
            drafts.append(Draft("system", content.texts(sent, place, content.RESPONSES), where))
        elif kind == "message" and item.role in {None, "user"}:
            drafts.append(Draft("user", _blocks(item, "user", where), where))
        elif kind in RESULTS:
            drafts.append(Draft("user", (_result(item, kind, where),), where))
        elif kind == "reasoning" and not unsealed(item.encrypted_content):
            if thoughtful(raw):
                skipped.append("input.reasoning")
        else:
            _join(drafts, _by_assistant(item, kind, where), where)
    return Said(tuple(_presentable(drafts)), tuple(dict.fromkeys(skipped)))


def _blocks(item: Item, role: Role, where: str) -> tuple[DraftBlock, ...]:
    place = f"{where}.content"
    return content.blocks(content.content_of(item.content, place), role, place, content.RESPONSES)


def thoughtful(raw: msgspec.Raw) -> bool:
    """Whether an item of thoughts has any words or anything that stands for them."""
    fields = msgspec.json.decode(bytes(raw), type=dict[str, object])
    return any(fields.get(name) for name in ("summary", "content", "encrypted_content"))


def _by_assistant(item: Item, kind: str, where: str) -> tuple[DraftBlock, ...]:
    """What an item of the assistant's says or calls. Raises Problem."""
    match kind:
        case "message":
            if item.role != "assistant":
                known = "system, developer, user or assistant"
                raise invalid(f"`{where}.role` must be {known}, not `{item.role}`.", f"{where}.role")
            return _blocks(item, "assistant", where)
        case "reasoning":
            return unsealed(item.encrypted_content)
        case "function_call":
            return (
                ToolUse(
                    _call_id(item, where), _called(item, where), content.arguments(item.arguments, f"{where}.arguments")
                ),
            )
        case "custom_tool_call":
            text = msgspec.json.encode({CUSTOM_FIELD: item.input or ""}).decode()
            return (ToolUse(_call_id(item, where), _called(item, where), text),)
        case _ if kind in LOCAL_CALLS:
            field, asked = ("operation", item.operation) if kind == "apply_patch_call" else ("action", item.action)
            return (ToolUse(_call_id(item, where), LOCAL_CALLS[kind], content.arguments(asked, f"{where}.{field}")),)
        case _:
            raise invalid(f"`{where}`: items of type `{kind}` are not supported.", f"{where}.type")


def _join(drafts: list[Draft], blocks: tuple[DraftBlock, ...], where: str) -> None:
    if drafts and drafts[-1].role == "assistant":
        drafts[-1] = Draft("assistant", (*drafts[-1].content, *blocks), drafts[-1].where)
    else:
        drafts.append(Draft("assistant", blocks, where))


def _presentable(drafts: list[Draft]) -> Iterable[Draft]:
    """The drafts without thoughts that led to nothing, which the service refuses."""
    for draft in drafts:
        blocks = draft.content
        while blocks and isinstance(blocks[-1], Thinking | RedactedThinking):
            blocks = blocks[:-1]
        if blocks or draft.role != "assistant":
            yield Draft(draft.role, blocks, draft.where)


def _result(item: Item, kind: str, where: str) -> DraftResult:
    call = _call_id(item, where)
    sent = cast("object", msgspec.json.decode(item.output))
    if kind == "shell_call_output" or isinstance(sent, dict):
        # A shell's output has a form of its own, which reads well as it is.
        return DraftResult(call, (Text(bytes(item.output).decode()),))
    place = f"{where}.output"
    parts = content.parts(content.content_of(item.output, place), place, content.RESPONSES)
    return DraftResult(call, parts, is_error=item.status == "failed")


def _called(item: Item, where: str) -> str:
    if not item.name:
        raise invalid(f"`{where}.name` is missing.", f"{where}.name")
    return qualified(item.namespace, item.name)


def _call_id(item: Item, where: str) -> str:
    # Local shell calls of old had an id only.
    call = item.call_id or item.id
    if not call:
        raise invalid(f"`{where}.call_id` is missing.", f"{where}.call_id")
    return call
