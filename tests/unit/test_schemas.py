"""A schema is usable or refused with the place at fault; what a model wrote is held against it."""

import contextlib
import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Problem
from api.schemas import fault, usable

WHERE = "tools[0].function.parameters"


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


USABLE: dict[str, dict[str, Any]] = {
    "empty": {},
    "object": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    "array": {"type": "array", "items": {"enum": [1, None, "a"]}},
    "union": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "definitions": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
    "draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a/b": {"type": "string"}},
        "items": [{"$ref": "#/definitions/a~1b"}],
    },
    "itself": {"type": "object", "properties": {"next": {"$ref": "#"}}},
    "into a list": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]},
    "an anchor": {"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "string"}}},
    "a property called $ref": {"properties": {"$ref": {"type": "string"}}},
    "unknown keywords": {"type": "string", "x-order": 1, "nullable": True, "example": "a"},
    "an unknown dialect": {"$schema": "https://example.com/mine", "type": "string"},
    "a pattern": {"type": "string", "pattern": "^[a-z]+$"},
    "deep": nested(60),
}


@pytest.mark.wire(13, 77)
@pytest.mark.parametrize("schema", USABLE.values(), ids=USABLE)
def test_a_schema_that_can_be_compiled_is_taken_as_it_is(schema: dict[str, Any]):
    """Any root, any dialect, with what other vendors add."""
    assert usable(schema, WHERE) == schema


REFUSED: dict[str, tuple[Any, str, str]] = {
    "null": (None, "", "must be a JSON Schema, which is an object"),
    "true": (True, "", "must be a JSON Schema, which is an object"),
    "list": ([], "", "must be a JSON Schema, which is an object"),
    "unknown type": ({"properties": {"a": {"type": "text"}}}, ".properties.a.type", "not valid JSON Schema"),
    "type in a list": ({"anyOf": [{"type": "string"}, {"type": 5}]}, ".anyOf[1].type", "not valid JSON Schema"),
    "required no list": ({"required": "a"}, ".required", "not valid JSON Schema"),
    "pattern broken": ({"pattern": "("}, ".pattern", "not valid JSON Schema"),
    "minimum of a text": ({"minimum": "1"}, ".minimum", "not valid JSON Schema"),
    "reference to nothing": ({"items": {"$ref": "#/$defs/a"}}, ".items.$ref", "`#/$defs/a` leads nowhere"),
    "reference to no schema": ({"title": "a", "items": {"$ref": "#/title"}}, ".items.$ref", "leads nowhere"),
    "reference into a text": ({"title": "a", "$ref": "#/title/a"}, ".$ref", "leads nowhere"),
    "reference past a list": ({"anyOf": [{}], "$ref": "#/anyOf/1"}, ".$ref", "leads nowhere"),
    "reference to no anchor": ({"$ref": "#nope"}, ".$ref", "`#nope` leads nowhere"),
    "reference elsewhere": (
        {"prefixItems": [{"$ref": "https://example.com/a"}]},
        ".prefixItems[0].$ref",
        "leads nowhere",
    ),
    "dialect no text": ({"$schema": []}, ".$schema", "must be a text"),
    "too deep": (nested(70), "", "nested more than 64 deep"),
}


@pytest.mark.wire(8, 13)
@pytest.mark.parametrize(("schema", "place", "mend"), REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_used_is_refused_with_the_place_in_it(schema: Any, place: str, mend: str):
    """Before anything is spent on it."""
    with pytest.raises(Problem) as caught:
        usable(schema, WHERE)
    refused = caught.value
    assert (refused.status, refused.code) == (400, "invalid_schema")
    assert refused.param is not None
    assert refused.param.startswith(WHERE + place)
    assert f"`{refused.param}`" in refused.message
    assert mend in refused.message


def test_a_refusal_does_not_repeat_a_schema_at_length():
    """A sentence is for people."""
    with pytest.raises(Problem) as caught:
        usable({"type": "x" * 10_000}, WHERE)
    assert len(caught.value.message) < 400


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-9, 9)
    | st.sampled_from(["", "a", "#", "#/a", "object"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "properties", "items", "$ref", "$defs", "anyOf", "enum", "const", "required", "a", "not"),
                    *("$schema", "$id", "$anchor", "pattern", "minimum", "additionalProperties", "definitions", "if"),
                    *("prefixItems", "dependentSchemas", "patternProperties", "format", "multipleOf"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@pytest.mark.wire(13)
@given(json_values, json_values)
def test_whatever_is_sent_as_a_schema_it_is_refused_or_can_be_held_against_any_document(schema: Any, document: Any):
    """A schema that was taken never fails later, when the model's words are held against it."""
    with contextlib.suppress(Problem):
        taken = usable(schema, WHERE)
        assert isinstance(fault(json.dumps(document), taken), str | None)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"city":"Paris"}', None),
        ('{"city":"Paris","days":2}', None),
        ("{}", "$: 'city' is a required property"),
        ('{"city":5}', "$.city: 5 is not of type 'string'"),
        ('{"city":"a","days":["x"]}', "$.days: ['x'] is not of type 'integer'"),
        ('{"city":', "it is not valid JSON"),
        ("", "it is not valid JSON"),
    ],
)
def test_a_fault_is_named_with_its_place(document: str, expected: str | None):
    """Enough for the model to do better next time."""
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}}
    assert fault(document, {"type": "object", "properties": properties, "required": ["city"]}) == expected


def test_a_schema_that_only_leads_back_to_itself_can_be_met_by_nothing():
    """It is refused; one that does so further inside is a fault, not a crash."""
    with pytest.raises(Problem, match="leads back to itself"):
        usable({"$ref": "#"}, WHERE)
    inside = usable({"properties": {"a": {"$ref": "#/properties/a"}}}, WHERE)
    assert fault('{"a":1}', inside) == "its schema leads back to itself"


@pytest.mark.parametrize("dialect", ["http://127.0.0.1:9/schema", "https://json-schema.org/draft/2099-01/schema"])
def test_a_dialect_nobody_knows_is_not_looked_up_on_the_network(dialect: str, monkeypatch: pytest.MonkeyPatch):
    """What a client names as `$schema` is a name, not an address to fetch from."""

    def never(_schema: object) -> bool:
        raise AssertionError("asked a library that fetches what it does not know")

    monkeypatch.setattr(jsonschema_rs.meta, "is_valid", never)
    assert usable({"$schema": dialect, "type": "object"}, "here")["type"] == "object"
