"""Fields inside of messages, items and tools that vendors document and that change nothing here. Pure.

Invariants: a field that is used, or that is only bookkeeping (ids, states, marks for a cache), is in no table; neither is
one that no vendor documents. A value that asks for nothing (null, false, an empty one, a default) is not named.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec
from msgspec import Struct, field

# Fields of a name, and the values of each that ask for nothing.
type Unused = Mapping[str, tuple[object, ...]]


class Fields(Struct, frozen=True):
    """What is unused in an object, or in each object of a list. inner: what may hold more, by its name."""

    unused: Unused = field(default_factory=dict[str, tuple[object, ...]])
    inner: Mapping[str, "Fields | ByKind"] = field(default_factory=dict[str, "Fields | ByKind"])


class ByKind(Struct, frozen=True):
    """What is unused in objects of several kinds. by: the field that names the kind. unnamed: the kind of those without."""

    by: str
    kinds: Mapping[str, Fields]
    unnamed: str = ""


def unused(value: object, fields: Fields | ByKind, path: str = "") -> tuple[str, ...]:
    """The unused fields that were sent, by their paths without numbers, each once."""
    return tuple(dict.fromkeys(_unused(value, fields, path)))


def _unused(value: object, fields: Fields | ByKind, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _unused(item, fields, path)
    elif isinstance(value, dict):
        sent = cast("dict[str, object]", value)
        if isinstance(fields, ByKind):
            kind = sent.get(fields.by) or fields.unnamed
            fields = fields.kinds.get(kind, Fields()) if isinstance(kind, str) else Fields()
        for name, harmless in fields.unused.items():
            if asks(sent.get(name), harmless):
                yield f"{path}.{name}"
        for name, inner in fields.inner.items():
            yield from _unused(sent.get(name), inner, f"{path}.{name}" if path else name)


def is_lost(description: str | None, schema: msgspec.Raw) -> bool:
    """Whether a description of the answer's form says what its schema, which the model sees, does not."""
    fields: object = msgspec.json.decode(schema)
    own = cast("dict[str, object]", fields).get("description") if isinstance(fields, dict) else None
    return bool(description) and description != own


def asks(value: object, harmless: tuple[object, ...] = ()) -> bool:
    """Whether a value asks for anything."""
    return value not in (None, False, "", [], {}, *harmless)


_DETAIL: Unused = {"detail": ("auto",)}
_SAID: Unused = {"annotations": (), "logprobs": (), "citations": ()}
_OF_PARTS: dict[str, Fields] = {
    **dict.fromkeys(("text", "input_text", "output_text"), Fields(_SAID)),
    "image_url": Fields(inner={"image_url": Fields(_DETAIL)}),
    "input_image": Fields(_DETAIL, {"image_url": Fields(_DETAIL)}),
    "input_file": Fields(_DETAIL),
    "document": Fields({"citations": ({"enabled": False},)}),
}
_PARTS = ByKind("type", {**_OF_PARTS, "tool_result": Fields(inner={"content": ByKind("type", _OF_PARTS)})})

# Of tools of the client's own, in every vendor's form.
_TOOL: Unused = {
    "allowed_callers": (["direct"],),
    "async": (),
    "defer_loading": (),
    "input_examples": (),
    "output_schema": (),
}
_TOOLS = Fields(_TOOL, {"function": Fields(_TOOL), "custom": Fields(_TOOL)})

_NAMED: Unused = {"name": ()}
_THOUGHT: Unused = {"reasoning_content": (), "reasoning": (), "reasoning_details": ()}
_MESSAGES = ByKind(
    "role",
    {
        **dict.fromkeys(("system", "developer", "user"), Fields(_NAMED, {"content": _PARTS})),
        "assistant": Fields({**_NAMED, "audio": (), "annotations": (), **_THOUGHT}, {"content": _PARTS}),
        **dict.fromkeys(("tool", "function"), Fields(inner={"content": _PARTS})),
    },
)
_CALL: Unused = {"async": (), "caller": ({"type": "direct"},)}
_SHELL: Unused = {**_CALL, "environment": ({"type": "local"},), "max_output_length": ()}
_ITEMS = ByKind(
    "type",
    {
        "message": Fields({"phase": ()}, {"content": _PARTS}),
        **dict.fromkeys(("function_call", "custom_tool_call", "apply_patch_call"), Fields(_CALL)),
        **dict.fromkeys(("function_call_output", "custom_tool_call_output"), Fields(_CALL, {"output": _PARTS})),
        **dict.fromkeys(("shell_call", "shell_call_output", "apply_patch_call_output"), Fields(_SHELL)),
    },
    unnamed="message",
)
_REASONING: Unused = {"context": ("auto",), "mode": ("standard",)}

CHAT_FIELDS = Fields(
    inner={
        "messages": _MESSAGES,
        "input": _ITEMS,
        "tools": _TOOLS,
        "functions": Fields(_TOOL),
        "reasoning": Fields(_REASONING),
        "text": Fields({"verbosity": ()}),
    }
)
RESPONSES_FIELDS = Fields(
    inner={
        "input": _ITEMS,
        "tools": Fields(_TOOL, {**_TOOLS.inner, "tools": _TOOLS}),
        "reasoning": Fields(_REASONING),
        "prompt_cache_options": Fields({"prewarm": (), "comparison_response_id": ()}),
    }
)
