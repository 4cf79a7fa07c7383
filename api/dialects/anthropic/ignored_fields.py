"""Lists the fields and values inside a request's parameters that have no effect. Pure.

Invariants: an unknown value of a list that Anthropic may extend is never rejected. It is treated as the nearest known
value, and named.
"""

import re
from collections.abc import Collection, Iterator
from typing import cast

from api.dialects.anthropic.content import is_dropped
from api.dialects.anthropic.thinking import DISPLAYS, EFFORTS, THINKING_TYPES

type Json = dict[str, object]

TOOL_CHOICE_TYPES = ("auto", "any", "tool", "none")
JSON_SCHEMA_FORMAT = "json_schema"
CLEAR_NEVER = "never"
CLEAR_AT_NEXT_USER_MESSAGE = "next_user_message"
# The fields of a parameter that the server reads. Its other fields are named.
READ_FIELDS = {
    "thinking": ("type", "budget_tokens", "display"),
    "output_config": ("effort", "format"),
    "tool_choice": ("type", "name", "disable_parallel_tool_use"),
}
# Names that are safe in a header.
HEADER_SAFE = re.compile(r"[\w.-]{1,64}", re.ASCII)


def list_without_effect(fields: Json) -> tuple[str, ...]:
    """Returns the names of what a client sent without effect, each once."""
    return tuple(dict.fromkeys((*_list_in_parts(fields), *_list_unknown_values(fields), *_list_unread_fields(fields))))


def to_header_name(name: str, fallback: str) -> str:
    """Returns a client's name if it is safe in a header, else the fallback."""
    return name if HEADER_SAFE.fullmatch(name) else fallback


def _list_in_parts(fields: Json) -> Iterator[str]:
    """Yields citations, transformations, examples of calls, and blocks that are not read."""
    messages = [_as_object(message) for message in _as_list(fields.get("messages"))]
    blocks = [part for message in messages for part in _iterate_objects(message.get("content"))]
    if any(_as_object(block.get("citations")).get("enabled") for block in blocks):
        yield "messages.content.citations"
    if any(block.get("transformations") for block in blocks):
        yield "messages.content.transformations"
    if any(_as_object(tool).get("input_examples") for tool in _as_list(fields.get("tools"))):
        yield "tools.input_examples"
    for message in messages:
        if message.get("role") == "system":
            yield from _list_in_system_message(message)
    for block in blocks:
        if block.get("type") == "mid_conv_system" or is_dropped(block):
            yield to_header_name(f"messages.content.{block['type']}", "messages.content")


def _list_in_system_message(message: Json) -> Iterator[str]:
    if message.get("clear_at") not in (None, CLEAR_NEVER, CLEAR_AT_NEXT_USER_MESSAGE):
        yield "messages.clear_at"
    for field, value in _as_object(message.get("output_config")).items():
        if value is not None and not (field == "effort" and value in (*EFFORTS,)):
            yield to_header_name(f"messages.output_config.{field}", "messages.output_config")


def _list_unknown_values(fields: Json) -> Iterator[str]:
    """Yields the fields with unknown values of lists that Anthropic extends."""
    output = _as_object(fields.get("output_config"))
    thinking = _as_object(fields.get("thinking"))
    known: tuple[tuple[str, Json, str, Collection[str]], ...] = (
        ("thinking.type", thinking, "type", THINKING_TYPES),
        ("thinking.display", thinking, "display", DISPLAYS),
        ("tool_choice.type", _as_object(fields.get("tool_choice")), "type", TOOL_CHOICE_TYPES),
        ("output_config.effort", output, "effort", EFFORTS),
        ("output_config.format.type", _as_object(output.get("format")), "type", (JSON_SCHEMA_FORMAT,)),
        ("output_format.type", _as_object(fields.get("output_format")), "type", (JSON_SCHEMA_FORMAT,)),
    )
    for name, where, field, values in known:
        if where.get(field) is not None and where[field] not in values:
            yield name


def _list_unread_fields(fields: Json) -> Iterator[str]:
    """Yields the fields inside object parameters that are not read."""
    for parameter, read in READ_FIELDS.items():
        for field, value in _as_object(fields.get(parameter)).items():
            if field not in read and value is not None:
                yield to_header_name(f"{parameter}.{field}", parameter)


def _iterate_objects(value: object) -> Iterator[Json]:
    """Yields every object inside a value, except those inside a tool's input or schema."""
    for item in _as_list(value):
        yield from _iterate_objects(item)
    if part := _as_object(value):
        yield part
        yield from _iterate_objects(part.get("content"))


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _as_object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}
