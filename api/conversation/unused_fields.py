"""Finds documented fields of messages, items and tools that have no effect here. Pure.

Invariants: the tables do not list fields that are used, fields for bookkeeping (ids, states, cache marks), or fields that
no vendor documents. A value without effect (null, false, empty, a default) is not reported.
"""

from collections.abc import Iterator, Mapping
from typing import cast

import msgspec
from msgspec import Struct, field

# The values without effect, by the field's name.
type HarmlessValues = Mapping[str, tuple[object, ...]]


class UnusedFields(Struct, frozen=True):
    """The unused fields of an object, or of each object of a list. inner: the fields whose values are searched too."""

    unused: HarmlessValues = field(default_factory=dict[str, tuple[object, ...]])
    inner: Mapping[str, "UnusedFields | UnusedFieldsByKind"] = field(
        default_factory=dict[str, "UnusedFields | UnusedFieldsByKind"]
    )


class UnusedFieldsByKind(Struct, frozen=True):
    """The unused fields of objects by kind. by: the field that names the kind. unnamed: the kind of objects without it."""

    by: str
    kinds: Mapping[str, UnusedFields]
    unnamed: str = ""


def find_unused_fields(value: object, fields: UnusedFields | UnusedFieldsByKind, path: str = "") -> tuple[str, ...]:
    """Returns the paths of the unused fields that were sent, without list indexes, each once."""
    return tuple(dict.fromkeys(_find_unused(value, fields, path)))


def _find_unused(value: object, fields: UnusedFields | UnusedFieldsByKind, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _find_unused(item, fields, path)
    elif isinstance(value, dict):
        sent = cast("dict[str, object]", value)
        if isinstance(fields, UnusedFieldsByKind):
            kind = sent.get(fields.by) or fields.unnamed
            fields = fields.kinds.get(kind, UnusedFields()) if isinstance(kind, str) else UnusedFields()
        for name, harmless in fields.unused.items():
            if has_effect(sent.get(name), harmless):
                yield f"{path}.{name}"
        for name, inner in fields.inner.items():
            yield from _find_unused(sent.get(name), inner, f"{path}.{name}" if path else name)


def is_description_lost(description: str | None, schema: msgspec.Raw) -> bool:
    """Whether a schema, which the model sees, lacks the description that was sent with it."""
    fields: object = msgspec.json.decode(schema)
    schema_description = cast("dict[str, object]", fields).get("description") if isinstance(fields, dict) else None
    return bool(description) and description != schema_description


def has_effect(value: object, harmless: tuple[object, ...] = ()) -> bool:
    """Whether a value differs from its defaults."""
    return value not in (None, False, "", [], {}, *harmless)


_DETAIL_FIELD: HarmlessValues = {"detail": ("auto",)}
_TEXT_FIELDS: HarmlessValues = {"annotations": (), "logprobs": (), "citations": ()}
_PART_FIELDS: dict[str, UnusedFields] = {
    **dict.fromkeys(("text", "input_text", "output_text"), UnusedFields(_TEXT_FIELDS)),
    "image_url": UnusedFields(inner={"image_url": UnusedFields(_DETAIL_FIELD)}),
    "input_image": UnusedFields(_DETAIL_FIELD, {"image_url": UnusedFields(_DETAIL_FIELD)}),
    "input_file": UnusedFields(_DETAIL_FIELD),
    "document": UnusedFields({"citations": ({"enabled": False},)}),
}
_PARTS = UnusedFieldsByKind(
    "type", {**_PART_FIELDS, "tool_result": UnusedFields(inner={"content": UnusedFieldsByKind("type", _PART_FIELDS)})}
)

# Fields of the client's tools, in the form of every vendor.
_TOOL_FIELDS: HarmlessValues = {
    "allowed_callers": (["direct"],),
    "async": (),
    "defer_loading": (),
    "input_examples": (),
    "output_schema": (),
}
_TOOLS = UnusedFields(_TOOL_FIELDS, {"function": UnusedFields(_TOOL_FIELDS), "custom": UnusedFields(_TOOL_FIELDS)})

_NAME_FIELD: HarmlessValues = {"name": ()}
_REASONING_TEXT_FIELDS: HarmlessValues = {"reasoning_content": (), "reasoning": (), "reasoning_details": ()}
_MESSAGES = UnusedFieldsByKind(
    "role",
    {
        **dict.fromkeys(("system", "developer", "user"), UnusedFields(_NAME_FIELD, {"content": _PARTS})),
        "assistant": UnusedFields(
            {**_NAME_FIELD, "audio": (), "annotations": (), **_REASONING_TEXT_FIELDS}, {"content": _PARTS}
        ),
        **dict.fromkeys(("tool", "function"), UnusedFields(inner={"content": _PARTS})),
    },
)
_CALL_FIELDS: HarmlessValues = {"async": (), "caller": ({"type": "direct"},)}
_SHELL_FIELDS: HarmlessValues = {**_CALL_FIELDS, "environment": ({"type": "local"},), "max_output_length": ()}
_ITEMS = UnusedFieldsByKind(
    "type",
    {
        "message": UnusedFields({"phase": ()}, {"content": _PARTS}),
        **dict.fromkeys(("function_call", "custom_tool_call", "apply_patch_call"), UnusedFields(_CALL_FIELDS)),
        **dict.fromkeys(
            ("function_call_output", "custom_tool_call_output"), UnusedFields(_CALL_FIELDS, {"output": _PARTS})
        ),
        **dict.fromkeys(("shell_call", "shell_call_output", "apply_patch_call_output"), UnusedFields(_SHELL_FIELDS)),
    },
    unnamed="message",
)
_REASONING_FIELDS: HarmlessValues = {"context": ("auto",), "mode": ("standard",)}

CHAT_FIELDS = UnusedFields(
    inner={
        "messages": _MESSAGES,
        "input": _ITEMS,
        "tools": _TOOLS,
        "functions": UnusedFields(_TOOL_FIELDS),
        "reasoning": UnusedFields(_REASONING_FIELDS),
        "text": UnusedFields({"verbosity": ()}),
    }
)
RESPONSES_FIELDS = UnusedFields(
    inner={
        "input": _ITEMS,
        "tools": UnusedFields(_TOOL_FIELDS, {**_TOOLS.inner, "tools": _TOOLS}),
        "reasoning": UnusedFields(_REASONING_FIELDS),
        "prompt_cache_options": UnusedFields({"prewarm": (), "comparison_response_id": ()}),
    }
)
