"""A schema of any root is met by the CLI as an object, and the answer comes out as the client's own schema has it."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from executor.claude.request.schema import WRAPPER_PROPERTY
from executor.claude.request.tool_forms import ToolForm

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b", "#/properties/a"])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
references = st.sampled_from(["#", "#/$defs/one", "#/$defs/two", "#/definitions/three", "#here"])
leaves = st.one_of(
    st.just({}),
    st.builds(
        lambda kind: {"type": kind}, st.sampled_from(["string", "integer", "null", "array", "object", "boolean"])
    ),
    st.builds(lambda value: {"const": value}, documents),
    st.builds(lambda values: {"enum": values}, st.lists(documents, min_size=1, max_size=3)),
    # What looks like a reference and is a value.
    st.just({"const": {"$ref": "#"}}),
    st.just({"enum": [{"$ref": "#/$defs/one"}], "default": {"$ref": "#"}}),
)
# A reference is only reached through a document's parts, so that no schema leads back to itself for nothing.
inner_schemas = leaves | st.builds(lambda to: {"$ref": to}, references)
schemas = st.one_of(
    leaves,
    st.builds(lambda items: {"type": "array", "items": items}, inner_schemas),
    st.builds(
        lambda a, b: {"type": "object", "properties": {"a": a, "const": b}, "required": ["a"]},
        inner_schemas,
        inner_schemas,
    ),
    st.builds(lambda a: {"properties": {"$ref": a, "b": a}, "additionalProperties": a}, inner_schemas),
    st.builds(lambda a: {"patternProperties": {"a": a}}, inner_schemas),
    st.builds(lambda a, b: {"anyOf": [{"type": "array", "items": a}, b]}, inner_schemas, leaves),
    st.builds(lambda a: {"not": {"type": "array", "items": a}}, inner_schemas),
)


@st.composite
def roots(draw: st.DrawFn) -> dict[str, Any]:
    """A schema of any root, with the definitions that references may lead to."""
    root = draw(schemas)
    defs = {"one": draw(schemas), "two": {"$anchor": "here", **draw(schemas)}}
    whole = {**root, "$defs": defs, "definitions": {"three": draw(schemas)}}
    if draw(st.booleans()):
        whole["$id"] = "https://example.com/mine"
    if draw(st.booleans()):
        whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return whole


def form(schema: str) -> ToolForm:
    """How an answer by a schema travels."""
    return ToolForm(schema, is_answer=True)


def accepts(schema: dict[str, Any], document: Any) -> bool:
    return Draft202012Validator(schema).is_valid(document)


@pytest.mark.wire(13)
@given(roots(), documents)
@example({"type": "object", "anyOf": [{"required": ["a"]}]}, {"a": 1})
def test_the_cli_is_asked_for_exactly_what_the_client_asked_for(schema: dict[str, Any], document: object):
    """What travels inside is valid if and only if it was valid by the client's own schema, references and all."""
    text = json.dumps(schema)
    travelling = json.loads(form(text).schema)
    Draft202012Validator.check_schema(travelling)
    assert travelling["type"] == "object"
    if not form(text).is_wrapped:
        assert accepts(travelling, document) == accepts(schema, document)
        return
    assert accepts(travelling, {WRAPPER_PROPERTY: document}) == accepts(schema, document)
    assert not accepts(travelling, {})
    assert not accepts(travelling, {WRAPPER_PROPERTY: document, "more": 1})
    assert not accepts(travelling, document) or (isinstance(document, dict) and list(document) == [WRAPPER_PROPERTY])


@pytest.mark.wire(13)
@pytest.mark.parametrize(
    ("schema", "wraps"),
    [
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {"anyOf": []}}}, False),
        ({"type": "array"}, True),
        ({"type": ["object", "null"]}, True),
        ({}, True),
        ({"$ref": "#/$defs/a"}, True),
        ({"anyOf": [{"type": "object"}]}, True),
        ({"type": "object", "oneOf": [{}]}, True),
        ({"type": "object", "allOf": [{}]}, True),
    ],
)
def test_only_what_is_plainly_an_object_travels_as_it_is(schema: dict[str, Any], wraps: bool):  # noqa: FBT001
    """A tool's arguments have no other root."""
    assert form(json.dumps(schema)).is_wrapped == wraps


@pytest.mark.wire(13, 58)
@given(documents, st.sampled_from([None, 1, 4]))
def test_the_answer_comes_out_byte_for_byte(document: object, indent: int | None):
    """Its blanks and its numbers are the model's."""
    written = json.dumps(document, indent=indent)
    assert form('{"type":"array"}').to_client(f'{{ "{WRAPPER_PROPERTY}" : {written} }}') == written


@pytest.mark.wire(58)
@pytest.mark.parametrize("written", ["1.0", "12345678901234567890123", "1e2", '"\\u00e9"', "[ 1 ,2]", "0.10"])
def test_no_number_is_encoded_again(written: str):
    """Inside an object or as one."""
    assert form("{}").to_client(f'{{"{WRAPPER_PROPERTY}":{written}}}') == written
    assert form('{"type":"object"}').to_client(f'{{"a": {written}}}') == f'{{"a": {written}}}'


def test_the_clients_own_value_is_not_taken_for_the_wrapper():
    """An object of that one key is an answer like any."""
    answer = f'{{"{WRAPPER_PROPERTY}": 1}}'
    assert form('{"type":"object"}').to_client(answer) == answer


@pytest.mark.wire(58)
def test_a_schema_that_travels_as_it_is_keeps_its_numbers():
    """Its declared draft too."""
    text = '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","minProperties":1.0,"maxProperties":1e2}'
    assert form(text).schema == text


def test_a_property_of_a_name_that_the_service_refuses_travels_under_another():
    """As those of a tool do."""
    odd = form('{"type":"object","properties":{"$top":{"const":1.0}},"required":["$top"]}')
    schema = json.loads(odd.schema)
    [name] = schema["required"]
    assert name != "$top"
    assert schema["properties"] == {name: {"const": 1.0}}
    assert odd.to_client(f'{{"{name}": 1.0}}') == '{"$top":1.0}'
