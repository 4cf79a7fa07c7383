"""What a request says inside of its parameters that changes nothing here, by name. Pure.

Invariants: a value that a vendor may add to tomorrow is never a reason to refuse: it is taken for the nearest one that is
known, and named.
"""

import re
from collections.abc import Collection, Iterator
from typing import cast

from api.dialects.anthropic.content import is_lost
from api.dialects.anthropic.thinking import DISPLAYS, EFFORTS, TYPES

type Json = dict[str, object]

CHOICES = ("auto", "any", "tool", "none")
FORM = "json_schema"
FOREVER = "never"
UNTIL_NEXT = "next_user_message"
# The fields that are read of a parameter; others of its fields are named.
READ = {
    "thinking": ("type", "budget_tokens", "display"),
    "output_config": ("effort", "format"),
    "tool_choice": ("type", "name", "disable_parallel_tool_use"),
}
# What may stand in a header.
PLAIN = re.compile(r"[\w.-]{1,64}", re.ASCII)


def without_effect(fields: Json) -> tuple[str, ...]:
    """The names of what was sent and means nothing, each once."""
    return tuple(dict.fromkeys((*_in_parts(fields), *_unknown_values(fields), *_unread(fields))))


def plain(name: str, fallback: str) -> str:
    """A name of the client's as it may stand in a header, or what stands for it."""
    return name if PLAIN.fullmatch(name) else fallback


def _in_parts(fields: Json) -> Iterator[str]:
    """Citations, examples of calls, and blocks that nobody here reads."""
    messages = [_object(message) for message in _list(fields.get("messages"))]
    blocks = [part for message in messages for part in _parts(message.get("content"))]
    if any(_wants_citations(block) for block in blocks):
        yield "messages.content.citations"
    if any(block.get("transformations") for block in blocks):
        yield "messages.content.transformations"
    if any(_object(tool).get("input_examples") for tool in _list(fields.get("tools"))):
        yield "tools.input_examples"
    for message in messages:
        if message.get("role") == "system":
            yield from _of_system_message(message)
    for block in blocks:
        if block.get("type") == "mid_conv_system" or is_lost(block):
            yield plain(f"messages.content.{block['type']}", "messages.content")


def _of_system_message(message: Json) -> Iterator[str]:
    if message.get("clear_at") not in (None, FOREVER, UNTIL_NEXT):
        yield "messages.clear_at"
    for field, value in _object(message.get("output_config")).items():
        if value is not None and not (field == "effort" and value in (*EFFORTS,)):
            yield plain(f"messages.output_config.{field}", "messages.output_config")


def _unknown_values(fields: Json) -> Iterator[str]:
    """Values of growing lists that are not known."""
    output = _object(fields.get("output_config"))
    thinking = _object(fields.get("thinking"))
    known: tuple[tuple[str, Json, str, Collection[str]], ...] = (
        ("thinking.type", thinking, "type", TYPES),
        ("thinking.display", thinking, "display", DISPLAYS),
        ("tool_choice.type", _object(fields.get("tool_choice")), "type", CHOICES),
        ("output_config.effort", output, "effort", EFFORTS),
        ("output_config.format.type", _object(output.get("format")), "type", (FORM,)),
        ("output_format.type", _object(fields.get("output_format")), "type", (FORM,)),
    )
    for name, where, field, values in known:
        if where.get(field) is not None and where[field] not in values:
            yield name


def _unread(fields: Json) -> Iterator[str]:
    """Fields of the parameters that are objects."""
    for parameter, read in READ.items():
        for field, value in _object(fields.get(parameter)).items():
            if field not in read and value is not None:
                yield plain(f"{parameter}.{field}", parameter)


def _parts(value: object) -> Iterator[Json]:
    """Every object inside of what was sent, but for what a tool's call or schema holds."""
    for item in _list(value):
        yield from _parts(item)
    if part := _object(value):
        yield part
        yield from _parts(part.get("content"))


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _wants_citations(part: Json) -> bool:
    """Whether a document is to be cited from."""
    return bool(_object(part.get("citations")).get("enabled"))
