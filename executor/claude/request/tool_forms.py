"""Translates schemas of tools and structured answers to the service's form, and arguments in both directions. Pure.

The service rejects a tool with a top-level property name that does not match `PROPERTY_NAME`, and a tool whose root is a
union. Such a property gets a substitute name; a root that is not an object is wrapped in one. The model's arguments are
translated back to the client's own schema.
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
# The property for arguments that are not a JSON object: the model reads them as text.
UNREADABLE_ARGUMENTS = "unreadable_arguments"
# Keywords whose value lists properties of the root by name, as keys or as items.
PROPERTY_MAP_KEYWORDS = ("properties", "dependentRequired", "dependentSchemas", "dependencies")
PROPERTY_LIST_KEYWORDS = ("required", "propertyOrdering")

type Fields = dict[str, msgspec.Raw]


class ToolForm:
    """Translates one tool's schema and arguments.

    is_plain: the arguments are not changed, so they can be streamed. is_wrapped: they are wrapped in an object.
    """

    def __init__(self, schema: str, *, is_answer: bool = False) -> None:
        """is_answer: the schema describes a structured answer, which need not be an object."""
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
            # A schema without a type means an object.
            self.schema = schema if "type" in fields else _encode({"type": msgspec.Raw(b'"object"'), **fields})

    def to_wire(self, arguments: str) -> str:
        """Returns the arguments of a call in the history as the model sees them: always a JSON object."""
        fields = _read_object(arguments)
        if fields is None:
            return _encode({UNREADABLE_ARGUMENTS: msgspec.Raw(msgspec.json.encode(arguments))})
        exact = quote_inexact_numbers(arguments)
        if self.is_wrapped:
            return _encode({WRAPPER_PROPERTY: msgspec.Raw(exact.encode())})
        if not self._names.has_changes:
            return exact
        return _encode(
            {self._names.to_wire(name): value for name, value in msgspec.json.decode(exact, type=Fields).items()}
        )

    def to_client(self, arguments: str) -> str:
        """Returns the model's arguments in the form of the client's schema; unchanged if they can't be parsed."""
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
                has_lists = name in {"dependentRequired", "dependencies"}
                properties = {
                    self._names.to_wire(key): self._rename_list(value) if has_lists else value
                    for key, value in _decode_fields(fields[name]).items()
                }
                renamed[name] = msgspec.Raw(_encode(properties).encode())
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
    """Returns the fields of a JSON object; None for anything else."""
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
