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

from api import content
from api.conversation import Draft, DraftBlock, DraftResult
from api.fields import arguments, decoded
from api.forms import CalledFunction, Item, Part
from api.problems import invalid
from api.tooling import CUSTOM_FIELD, qualified
from shared.turn import RedactedThinking, Text, Thinking, ToolUse

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
LOCAL_CALLS = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
}

_item = msgspec.json.Decoder(Item)
_content = msgspec.json.Decoder(str | list[Part] | None)
_thoughts = msgspec.json.Decoder(list[Thought])


class Said(Struct, frozen=True):
    """What the items say. skipped: the types of those that mean nothing here."""

    system: tuple[str, ...]
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
    system: list[str] = []
    drafts: list[Draft] = []
    skipped: list[str] = []
    for where, raw in items:
        # Some clients put a text among the items.
        item = Item(content=raw) if bytes(raw).startswith(b'"') else decoded(bytes(raw), _item, where)
        kind = item.type or "message"
        if kind in HOSTED_CALLS:
            skipped.append(f"input.{kind}")
        elif kind == "message" and item.role in {"system", "developer"}:
            system.append(
                content.text_only(_said(item.content, f"{where}.content"), f"{where}.content", content.RESPONSES)
            )
        elif kind == "message" and item.role in {None, "user"}:
            drafts.append(
                Draft(
                    "user",
                    content.blocks(_said(item.content, f"{where}.content"), f"{where}.content", content.RESPONSES),
                    where,
                )
            )
        elif kind.endswith("_output"):
            drafts.append(Draft("user", (_result(item, kind, where),), where))
        else:
            _join(drafts, _by_assistant(item, kind, where), where)
    return Said(tuple(system), tuple(_presentable(drafts)), tuple(dict.fromkeys(skipped)))


def _by_assistant(item: Item, kind: str, where: str) -> tuple[DraftBlock, ...]:
    """What an item of the assistant's says or calls. Raises Problem."""
    match kind:
        case "message":
            if item.role != "assistant":
                known = "system, developer, user or assistant"
                raise invalid(f"`{where}.role` must be {known}, not `{item.role}`.", f"{where}.role")
            return content.blocks(_said(item.content, f"{where}.content"), f"{where}.content", content.RESPONSES)
        case "reasoning":
            return unsealed(item.encrypted_content)
        case "function_call":
            called = CalledFunction(_called(item, where), item.arguments)
            return (ToolUse(_call_id(item, where), called.name, arguments(called, where)),)
        case "custom_tool_call":
            text = msgspec.json.encode({CUSTOM_FIELD: item.input or ""}).decode()
            return (ToolUse(_call_id(item, where), _called(item, where), text),)
        case _ if kind in LOCAL_CALLS:
            action = bytes(item.action).decode()
            return (ToolUse(_call_id(item, where), LOCAL_CALLS[kind], action if action[:1] == "{" else "{}"),)
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
        if blocks or draft.role == "user":
            yield Draft(draft.role, blocks, draft.where)


def _result(item: Item, kind: str, where: str) -> DraftResult:
    call = _call_id(item, where)
    sent = cast("object", msgspec.json.decode(item.output))
    if kind == "shell_call_output" or isinstance(sent, dict):
        # A shell's output has a form of its own, which reads well as it is.
        return DraftResult(call, (Text(bytes(item.output).decode()),))
    return DraftResult(call, content.parts(_said(item.output, f"{where}.output"), f"{where}.output", content.RESPONSES))


def _said(raw: msgspec.Raw, where: str) -> content.Content:
    return decoded(bytes(raw), _content, where)


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
