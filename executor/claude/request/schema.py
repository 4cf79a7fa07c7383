"""Schemas whose root is not plainly an object, moved into one. Pure.

The service takes tools with an object at the root only. Any other schema travels as the one property of an object, and
what the model wrote for it comes out again byte for byte.
"""

from typing import cast

import msgspec

type Fields = dict[str, object]

WRAPPER_PROPERTY = "value"
DEFINITION_KEYWORDS = ("$defs", "definitions")
UNION_KEYWORDS = ("anyOf", "oneOf", "allOf")
# Where the keys are names of the client's, and where a value is no schema, whatever it looks like.
MAP_KEYWORDS = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas", "dependencies")
VALUE_KEYWORDS = ("const", "enum", "default", "examples", "example", "required", "dependentRequired")


def move_into_wrapper(schema: str) -> str:
    """An object with the schema as its one property; references to its own root lead to where that is now."""
    fields = msgspec.json.decode(schema, type=Fields)
    for name in ("$schema", "$id"):
        # A schema with an id of its own would be the root of its own references.
        fields.pop(name, None)
    moved = cast("Fields", _move(fields))
    shared = {name: moved.pop(name) for name in DEFINITION_KEYWORDS if name in moved}
    root = {
        "type": "object",
        "properties": {WRAPPER_PROPERTY: moved},
        "required": [WRAPPER_PROPERTY],
        "additionalProperties": False,
        **shared,
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
    # What is no path is the name of an anchor, which needs none.
    return (
        f"#/properties/{WRAPPER_PROPERTY}{reference[1:]}"
        if reference == "#" or reference.startswith("#/")
        else reference
    )
