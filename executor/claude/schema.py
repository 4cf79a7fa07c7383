"""Schemas of structured answers as the CLI can meet them. Pure.

Law: the CLI's structured answer is the arguments of a tool, so its root is an object; any other root travels inside
one, and comes out again byte for byte as the model wrote it.
"""

from typing import cast

import msgspec

from executor.claude.dialect import NAMED, VALUES, Fields, compilable

WRAPPER = "value"
SHARED = ("$defs", "definitions")


def is_wrapped(schema: str) -> bool:
    """Whether the schema's root is anything but plainly an object."""
    fields: dict[str, object] = msgspec.json.decode(schema, type=dict[str, object])
    return fields.get("type") != "object" or any(name in fields for name in ("anyOf", "oneOf", "allOf", "$ref"))


def wrapped(schema: str) -> msgspec.Raw:
    """The schema that the CLI is given."""
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(compilable(schema), type=dict[str, msgspec.Raw])
    # The CLI compiles with its own dialect; a declared one it does not have makes it drop the schema.
    fields.pop("$schema", None)
    if not is_wrapped(schema):
        return msgspec.Raw(msgspec.json.encode(fields))
    # A schema with an id of its own would be the root of its own references.
    fields.pop("$id", None)
    whole = cast("Fields", _moved(msgspec.json.decode(msgspec.json.encode(fields))))
    # References count from the root: what they point at moves up with them.
    shared = {name: whole.pop(name) for name in SHARED if name in whole}
    root = {
        "type": "object",
        "properties": {WRAPPER: whole},
        "required": [WRAPPER],
        "additionalProperties": False,
        **shared,
    }
    return msgspec.Raw(msgspec.json.encode(root))


def _moved(part: object) -> object:
    """The schema with its references to its own root, or into it, pointing to where that is now."""
    match part:
        case dict():
            return {name: _moved_field(name, value) for name, value in cast("Fields", part).items()}
        case list():
            return [_moved(item) for item in cast("list[object]", part)]
        case _:
            return part


def _moved_field(name: str, value: object) -> object:
    if name in NAMED and isinstance(value, dict):
        return {key: _moved(inner) for key, inner in cast("Fields", value).items()}
    if name == "$ref" and isinstance(value, str):
        return _moved_reference(value)
    return value if name in VALUES else _moved(value)


def _moved_reference(reference: str) -> str:
    if reference.startswith(tuple(f"#/{name}/" for name in SHARED)):
        return reference
    # What is no path is the name of an anchor, which needs none.
    return f"#/properties/{WRAPPER}{reference[1:]}" if reference == "#" or reference.startswith("#/") else reference


def unwrapped(schema: str, answer: str) -> str | None:
    """The answer as the client's own schema has it; None if it is none. answer: what the model wrote for `wrapped`."""
    try:
        fields = msgspec.json.decode(answer, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return None
    if not is_wrapped(schema):
        return answer
    return bytes(fields[WRAPPER]).decode() if WRAPPER in fields else None
