"""Schemas in the CLI's dialect: what they allow stays the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from executor.claude.dialect import KNOWN, compilable


def put(schema: Any) -> Any:
    """A schema in the CLI's dialect."""
    return json.loads(compilable(json.dumps(schema)))


@pytest.mark.parametrize(
    ("schema", "plain"),
    [
        ({"x-a": 1, "discriminator": {"a": 1}, "type": "string"}, {"type": "string"}),
        ({"properties": {"x-a": {"x-b": 1}}}, {"properties": {"x-a": {}}}),
        ({"$defs": {"discriminator": {"example": 1}}}, {"$defs": {"discriminator": {}}}),
        (
            {"enum": [{"x-a": 1}], "default": {"x": 2}, "const": {"y": 3}},
            {"enum": [{"x-a": 1}], "default": {"x": 2}, "const": {"y": 3}},
        ),
        ({"prefixItems": [{"x": 1}], "items": False}, {"items": [{}], "additionalItems": False}),
        ({"prefixItems": [True]}, {"items": [True]}),
        ({"dependentRequired": {"a": ["b"]}}, {"dependencies": {"a": ["b"]}}),
        ({"dependentSchemas": {"a": {"x": 1}}}, {"dependencies": {"a": {}}}),
        (
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"a": {"required": ["c"]}}},
            {"dependencies": {"a": {"allOf": [{"required": ["b"]}, {"required": ["c"]}]}}},
        ),
        ({"unevaluatedProperties": False}, {"unevaluatedProperties": False}),
        ({"anyOf": [{"x": 1}, {"not": {"x": 1}}]}, {"anyOf": [{}, {"not": {}}]}),
    ],
    ids=json.dumps,
)
def test_notes_go_and_later_words_are_put_as_older_ones(schema: Any, plain: Any):
    """At any depth, but not in names nor in values of the client's."""
    assert put(schema) == plain


def test_a_schema_in_the_dialect_is_the_very_same_text():
    """No number, no order and no space is lost."""
    text = '{ "type":"object", "minProperties": 1.0, "properties":{"a":{"maximum":1e2,"multipleOf":0.10}} }'
    assert compilable(text) == text


leaves = st.sampled_from(
    [{"type": "integer"}, {"type": "string"}, {"const": 1}, {"enum": ["a", None]}, {"x-n": 1}, {"minimum": 1}, {}]
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"prefixItems": st.lists(inner, min_size=1, max_size=2)}, optional={"items": inner | st.booleans()}
        ),
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abx"), inner, max_size=2), "x-note": inner}
        ),
        st.fixed_dictionaries(
            {"dependentRequired": st.just({"a": ["b"]}), "dependentSchemas": st.fixed_dictionaries({"a": inner})}
        ),
        st.fixed_dictionaries(
            {"oneOf": st.lists(inner, min_size=1, max_size=2), "discriminator": st.just({"propertyName": "a"})}
        ),
    ),
    max_leaves=6,
)
values = st.recursive(
    st.sampled_from([1, 0, "a", None, 1.5, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3),
    max_leaves=6,
)


@given(schema=schemas, value=values)
def test_what_a_schema_allows_stays_the_same(schema: Any, value: Any):
    """By an independent validator of either draft."""
    plain = put(schema)
    assert Draft7Validator(plain).is_valid(value) == Draft202012Validator(schema).is_valid(value)
    assert set(plain) <= KNOWN
