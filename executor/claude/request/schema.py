"""Wraps schemas whose root is not an object. Pure.

The service accepts only tools with an object at the root of their schema. Any other schema becomes the only property of an
object, and the value that the model writes for it is unwrapped byte for byte.
"""

from typing import cast

import msgspec

type Fields = dict[str, object]

WRAPPER_PROPERTY = "value"
DEFINITION_KEYWORDS = ("$defs", "definitions")
UNION_KEYWORDS = ("anyOf", "oneOf", "allOf")
# Keywords whose keys are names of the client's, and keywords whose value is never a schema, even if it looks like one.
MAP_KEYWORDS = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas", "dependencies")
VALUE_KEYWORDS = ("const", "enum", "default", "examples", "example", "required", "dependentRequired")


def move_into_wrapper(schema: str) -> str:
    """Returns an object schema with the schema as its only property; references to its root are adjusted."""
    fields = msgspec.json.decode(schema, type=Fields)
    for name in ("$schema", "$id"):
        # A schema with its own id would remain the root of its references.
        fields.pop(name, None)
    moved = cast("Fields", _move(fields))
    definitions = {name: moved.pop(name) for name in DEFINITION_KEYWORDS if name in moved}
    root = {
        "type": "object",
        "properties": {WRAPPER_PROPERTY: moved},
        "required": [WRAPPER_PROPERTY],
        "additionalProperties": False,
        **definitions,
    }
    return msgspec.json.encode(root).decode()


def _move(part: object) -> object:
    match part:
        case dict():
            return {name: _move_field(name, value) for name, value in cast("Fields", part).items()}
        case list():
            return [_move(item) for item in cast("list[object]", part)]
        case _:
            return part


def _move_field(name: str, value: object) -> object:
    if name in MAP_KEYWORDS and isinstance(value, dict):
        return {key: _move(inner) for key, inner in cast("Fields", value).items()}
    if name == "$ref" and isinstance(value, str):
        return _move_reference(value)
    return value if name in VALUE_KEYWORDS else _move(value)


def _move_reference(reference: str) -> str:
    if reference.startswith(tuple(f"#/{name}/" for name in DEFINITION_KEYWORDS)):
        return reference
    # A reference without a path names an anchor and needs no adjustment.
    return (
        f"#/properties/{WRAPPER_PROPERTY}{reference[1:]}"
        if reference == "#" or reference.startswith("#/")
        else reference
    )
