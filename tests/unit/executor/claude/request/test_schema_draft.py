"""Schemas of earlier drafts reach the service in the words of the draft that it compiles."""

import json

import pytest

from executor.claude.request.schema_draft import modernize

CHANGES = {
    "a tuple": (
        {"items": [{"type": "string"}], "additionalItems": False},
        {"prefixItems": [{"type": "string"}], "items": False},
    ),
    "a tuple inside": ({"properties": {"a": {"items": [{}]}}}, {"properties": {"a": {"prefixItems": [{}]}}}),
    "dependencies": (
        {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
        {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}},
    ),
    "limits of draft 4": (
        {"minimum": 1, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
        {"exclusiveMinimum": 1, "maximum": 9},
    ),
    "a declared draft": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}]},
        {"prefixItems": [{}]},
    ),
}
SAME = (
    '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","items":{}}',
    '{"type":"object","properties":{"items":{"type":"string"},"dependencies":{"type":"array","items":{"maximum":1.0}}}}',
    '{"const":{"items":[1]},"enum":[{"dependencies":{"a":["b"]}}],"default":{"items":[]}}',
    '{"exclusiveMinimum":1.0,"prefixItems":[{}],"items":{"$ref":"#"}}',
)


@pytest.mark.parametrize(("given", "expected"), CHANGES.values(), ids=CHANGES)
def test_earlier_words_have_their_counterparts(given: object, expected: object):
    """Wherever a schema may stand."""
    assert json.loads(modernize(json.dumps(given))) == expected


@pytest.mark.parametrize("schema", SAME)
def test_names_values_and_later_words_stay_byte_for_byte(schema: str):
    """A property may be called `items`, and a value may look like a schema."""
    assert modernize(schema) == schema
