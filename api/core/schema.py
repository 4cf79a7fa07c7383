"""Descriptions and JSON Schema keywords of struct fields, for the API description. Pure.

Invariants: decoders check the limits of `Annotated` numbers and lists; keywords given to `doc` are only in the JSON Schema.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

type Json = dict[str, Any]

ANY_SCHEMA: Json = {
    "type": "object",
    "description": "A JSON Schema (draft 2020-12, or the draft that `$schema` names).",
}
NOT_BLANK: Json = {"minLength": 1, "pattern": r"\S"}
TOOL_NAME: Json = {"minLength": 1, "maxLength": 512}

# Types with limits that decoders check.
NotEmpty = Annotated[str, Meta(min_length=1)]
NotBlank = Annotated[str, Meta(min_length=1, pattern=r"\S")]
TokenLimit = Annotated[int, Meta(ge=1, le=10_000_000)]
Dollars = Annotated[float, Meta(gt=0, le=10_000)]


def doc(description: str, **schema: Any) -> Meta:
    """Returns a field's description in Markdown, with additional keywords of its JSON Schema."""
    return Meta(description=description, extra_json_schema=schema or None)


def raw_field(default: bytes = b"null") -> msgspec.Raw:
    """Returns the default of a field with undecoded JSON; a plain `Raw` default has no JSON Schema."""
    return msgspec.field(default_factory=lambda: msgspec.Raw(default))


def like(name: str) -> Meta:
    """Returns the schema of undecoded JSON: that of the struct with this name."""
    return Meta(extra_json_schema=ref(name))


def ref(name: str) -> Json:
    """Returns a reference to the schema of the struct with this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def any_of(*names: str) -> Json:
    """Returns the schema of any of the structs with these names."""
    return {"anyOf": [ref(name) for name in names]}


def either(*schemas: Json) -> list[Json]:
    """Returns the value of `anyOf`: one of these schemas, or null."""
    return [*schemas, {"type": "null"}]


def content_of(name: str) -> list[Json]:
    """Returns the value of `anyOf` for a text, a list of these structs, or null."""
    return either({"type": "string"}, {"type": "array", "items": ref(name)})


def schemas_of(*structs: type[msgspec.Struct], prefix: str = "#/components/schemas/") -> dict[str, Json]:
    """Returns the JSON Schemas of these structs and of the structs in their fields, by name."""
    _, schemas = msgspec.json.schema_components(
        structs,
        schema_hook=lambda _: {"description": "Any JSON."},  # of `object`
        ref_template=prefix + "{name}",
    )
    return schemas
