"""Translates JSON Schemas of earlier drafts to 2020-12, the draft that the service compiles. Pure.

Invariants: what a schema allows stays the same; a schema that uses only keywords of 2020-12 is not changed.
(https://json-schema.org/draft/2020-12/release-notes, https://json-schema.org/draft-07/json-schema-validation)
"""

from typing import cast

import msgspec

from executor.claude.request.schema import MAP_KEYWORDS, VALUE_KEYWORDS, Fields

EARLIER_KEYWORDS = (b'"items"', b'"dependencies"', b'"exclusiveMinimum"', b'"exclusiveMaximum"')
EXCLUSIVE_LIMITS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def modernize(schema: str) -> str:
    """Returns the schema in 2020-12; the same text where nothing has to change."""
    if not any(word in schema.encode("utf-8", "surrogatepass") for word in EARLIER_KEYWORDS):
        return schema
    original = msgspec.json.decode(schema, type=Fields)
    modern = cast("Fields", _modernize(original))
    if modern == original:
        return schema
    # The declared draft no longer applies.
    modern.pop("$schema", None)
    return msgspec.json.encode(modern).decode()


def _modernize(part: object) -> object:
    match part:
        case dict():
            return _modernize_keywords(
                {name: _modernize_field(name, value) for name, value in cast("Fields", part).items()}
            )
        case list():
            return [_modernize(item) for item in cast("list[object]", part)]
        case _:
            return part


def _modernize_field(name: str, value: object) -> object:
    if name in VALUE_KEYWORDS:
        return value
    if name in MAP_KEYWORDS and isinstance(value, dict):
        return {key: _modernize(inner) for key, inner in cast("Fields", value).items()}
    return _modernize(value)


def _modernize_keywords(fields: Fields) -> Fields:
    if isinstance(fields.get("items"), list):
        fields["prefixItems"] = fields.pop("items")
        if "additionalItems" in fields:
            fields["items"] = fields.pop("additionalItems")
    dependencies = fields.get("dependencies")
    if isinstance(dependencies, dict):
        fields = {name: value for name, value in fields.items() if name != "dependencies"}
        for key, needed in cast("Fields", dependencies).items():
            kind = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
            fields[kind] = {**cast("Fields", fields.get(kind, {})), key: needed}
    for exclusive, limit in EXCLUSIVE_LIMITS.items():
        match fields.get(exclusive):
            case True if limit in fields:
                fields[exclusive] = fields.pop(limit)
            case bool():
                del fields[exclusive]
            case _:
                pass
    return fields
