"""What the API description says of a struct's field beyond its type. Pure.

Invariants: limits given here are in the JSON Schema only; decoders check them on their own, with their own sentences.
"""

from typing import Any

import msgspec
from msgspec import Meta

type Json = dict[str, Any]

ANY_SCHEMA: Json = {"type": "object", "description": "A JSON Schema (draft 2020-12, or what its `$schema` names)."}
NOT_BLANK: Json = {"minLength": 1, "pattern": r"\S"}
TOKENS: Json = {"minimum": 1, "maximum": 10_000_000}
TOOL_NAME: Json = {"minLength": 1, "maxLength": 512}
US_DOLLARS: Json = {"exclusiveMinimum": 0, "maximum": 10_000}


def doc(description: str, **schema: Any) -> Meta:
    """A field's description in Markdown, and keywords that its JSON Schema has in addition."""
    return Meta(description=description, extra_json_schema=schema or None)


def raw_field(default: bytes = b"null") -> msgspec.Raw:
    """The default of a field that holds undecoded JSON; a plain `Raw` default has no JSON Schema."""
    return msgspec.field(default_factory=lambda: msgspec.Raw(default))


def like(name: str) -> Meta:
    """Undecoded JSON that has the schema of the struct of that name."""
    return Meta(extra_json_schema=ref(name))


def ref(name: str) -> Json:
    """A reference to the schema of the struct of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def any_of(*names: str) -> Json:
    """Any of the structs of these names."""
    return {"anyOf": [ref(name) for name in names]}


def either(*schemas: Json) -> list[Json]:
    """The value of `anyOf`: one of these, or null."""
    return [*schemas, {"type": "null"}]


def content_of(name: str) -> list[Json]:
    """The value of `anyOf` for a text, a list of such structs, or null."""
    return either({"type": "string"}, {"type": "array", "items": ref(name)})


def schemas_of(*structs: type[msgspec.Struct], prefix: str = "#/components/schemas/") -> dict[str, Json]:
    """The JSON Schemas of these structs and of all that they hold, by name."""
    _, schemas = msgspec.json.schema_components(
        structs,
        schema_hook=lambda _: {"description": "Any JSON."},  # of `object`
        ref_template=prefix + "{name}",
    )
    return schemas
