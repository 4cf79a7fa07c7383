"""JSON Schemas in the dialect that the CLI compiles: draft-07, strictly. Pure.

Law: what a schema allows stays the same. Words that mean nothing to a validator (`discriminator`, `x-…`) go, since the
CLI would refuse the whole schema for them; words of later drafts are put as draft-07 has them; those it has no words for
stay, and the CLI refuses them.
(https://json-schema.org/draft-07/json-schema-validation, https://ajv.js.org/strict-mode.html)
"""

from typing import cast

import msgspec

type Fields = dict[str, object]

# Where the keys are names of the client's, and where a value is no schema, whatever it looks like.
NAMED = ("$defs", "definitions", "properties", "patternProperties", "dependentSchemas", "dependencies")
VALUES = ("const", "enum", "default", "examples", "required", "dependentRequired")
KNOWN = frozenset(
    (
        *("$schema", "$id", "$ref", "$comment", "title", "description", "deprecated", "readOnly", "writeOnly"),
        *("type", "nullable", "format", "pattern", "minLength", "maxLength", "contentMediaType", "contentEncoding"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "contentSchema"),
        *("items", "additionalItems", "contains", "minItems", "maxItems", "uniqueItems", "prefixItems"),
        *("additionalProperties", "propertyNames", "minProperties", "maxProperties"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
        # Of later drafts, and without a counterpart.
        *("unevaluatedItems", "unevaluatedProperties", "minContains", "maxContains"),
        *("$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary"),
        *NAMED,
        *VALUES,
    )
)


def compilable(schema: str) -> str:
    """The schema as the CLI takes it; the very same text where nothing has to change."""
    given = msgspec.json.decode(schema, type=Fields)
    plain = _plain(given)
    return schema if plain == given else msgspec.json.encode(plain).decode()


def _plain(part: object) -> object:
    match part:
        case dict():
            fields = {name: _field(name, value) for name, value in cast("Fields", part).items() if name in KNOWN}
            return _older(fields)
        case list():
            return [_plain(item) for item in cast("list[object]", part)]
        case _:
            return part


def _field(name: str, value: object) -> object:
    if name in VALUES:
        return value
    if name in NAMED and isinstance(value, dict):
        return {key: _plain(inner) for key, inner in cast("Fields", value).items()}
    return _plain(value)


def _older(fields: Fields) -> Fields:
    """The words of 2019-09 and 2020-12 as draft-07 has them."""
    if "prefixItems" in fields:
        rest = {"additionalItems": fields["items"]} if "items" in fields else {}
        fields = {**fields, "items": fields["prefixItems"], **rest}
        del fields["prefixItems"]
    if "dependencies" in fields:
        return fields
    needed: Fields = {}
    for name in ("dependentRequired", "dependentSchemas"):
        for key, value in cast("Fields", fields.pop(name, {})).items():
            needed[key] = {"allOf": [{"required": needed[key]}, value]} if key in needed else value
    return {**fields, "dependencies": needed} if needed else fields
