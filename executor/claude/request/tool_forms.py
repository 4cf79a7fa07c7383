"""Schemas of tools and of structured answers as the service takes them, and arguments there and back. Pure.

The service refuses a tool with a top-level property name outside of `PROPERTY`, and one whose root is a union. A property
travels under a stand-in; a root that is not plainly an object travels inside of one. Arguments of the model come back as
the client's own schema has them.
"""

import re
from collections.abc import Mapping
from typing import cast

import msgspec

from executor.claude.request.schema import UNION_KEYWORDS, WRAPPER_PROPERTY, move_into_wrapper
from executor.claude.request.schema_draft import modernize
from executor.claude.request.tool_names import WireNames
from shared.text.exact_json import quote_inexact_numbers

PROPERTY_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
# What holds arguments that are not a JSON object: the model reads what was written, as text.
UNREADABLE_ARGUMENTS = "unreadable_arguments"
# Keywords whose value lists properties of the root by name, as keys or as items.
PROPERTY_MAP_KEYWORDS = ("properties", "dependentRequired", "dependentSchemas", "dependencies")
PROPERTY_LIST_KEYWORDS = ("required", "propertyOrdering")

type Fields = dict[str, msgspec.Raw]


class ToolForm:
    """How one tool's schema and arguments travel.

    plain: the arguments travel as they are, so they can be streamed. wrapped: they travel inside of an object.
    """

    def __init__(self, schema: str, *, is_answer: bool = False) -> None:
        """is_answer: the schema is that of a structured answer, which may be other than an object."""
        schema = modernize(schema)
        fields = msgspec.json.decode(schema, type=Fields)
        self.is_wrapped = any(name in fields for name in (*UNION_KEYWORDS, "$ref")) or (
            is_answer and not _is_object(fields)
        )
        properties = _decode_fields(fields.get("properties"))
        self._names = WireNames(() if self.is_wrapped else properties, PROPERTY_NAME)
        self.is_plain = not self.is_wrapped and not self._names.has_changes
        if self.is_wrapped:
            self.schema = move_into_wrapper(schema)
        elif self._names.has_changes:
            self.schema = _encode(self._rename_properties(fields))
        else:
            # One that leaves the type out means an object.
            self.schema = schema if "type" in fields else _encode({"type": msgspec.Raw(b'"object"'), **fields})

    def to_wire(self, arguments: str) -> str:
        """A call of the history as the model is to see it: always a JSON object."""
        fields = _read_object(arguments)
        if fields is None:
            return _encode({UNREADABLE_ARGUMENTS: msgspec.Raw(msgspec.json.encode(arguments))})
        carried = quote_inexact_numbers(arguments)
        if self.is_wrapped:
            return _encode({WRAPPER_PROPERTY: msgspec.Raw(carried.encode())})
        if not self._names.has_changes:
            return carried
        return _encode(
            {self._names.to_wire(name): value for name, value in msgspec.json.decode(carried, type=Fields).items()}
        )

    def to_client(self, arguments: str) -> str:
        """The arguments that the model wrote, as the client's schema has them; what can't be read stays as it is."""
        fields = _read_object(arguments)
        if fields is None or self.is_plain:
            return arguments
        if self.is_wrapped:
            return bytes(fields[WRAPPER_PROPERTY]).decode() if WRAPPER_PROPERTY in fields else arguments
        return _encode({self._names.to_client(name): value for name, value in fields.items()})

    def _rename_properties(self, fields: Fields) -> Fields:
        renamed = dict(fields)
        for name in PROPERTY_MAP_KEYWORDS:
            if name in fields:
                keyed = _decode_fields(fields[name])
                renamed[name] = msgspec.Raw(
                    _encode(
                        {self._names.to_wire(key): self._rename_list(value) for key, value in keyed.items()}
                    ).encode()
                    if name in {"dependentRequired", "dependencies"}
                    else _encode({self._names.to_wire(key): value for key, value in keyed.items()}).encode()
                )
        for name in PROPERTY_LIST_KEYWORDS:
            if name in fields:
                renamed[name] = self._rename_list(fields[name])
        return renamed

    def _rename_list(self, value: msgspec.Raw) -> msgspec.Raw:
        listed: object = msgspec.json.decode(value)
        if not isinstance(listed, list):
            return value
        names = [self._names.to_wire(item) if isinstance(item, str) else item for item in cast("list[object]", listed)]
        return msgspec.Raw(msgspec.json.encode(names))


def _is_object(fields: Fields) -> bool:
    return "type" in fields and msgspec.json.decode(fields["type"]) == "object"


def _read_object(arguments: str) -> Fields | None:
    """The fields of a JSON object; None for anything else."""
    try:
        return msgspec.json.decode(arguments, type=Fields)
    except (msgspec.DecodeError, RecursionError):
        return None


def _decode_fields(raw: msgspec.Raw | None) -> Fields:
    try:
        return msgspec.json.decode(raw, type=Fields) if raw is not None else {}
    except msgspec.DecodeError:
        return {}


def _encode(fields: Mapping[str, msgspec.Raw]) -> str:
    return msgspec.json.encode(fields).decode()


PLAIN_FORM = ToolForm("{}")
