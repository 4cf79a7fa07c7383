"""Tools of any schema are offered in a form that the service takes, and called in the client's own."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.request.tool_forms import UNREADABLE_ARGUMENTS, ToolForm

PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
names = st.sampled_from(["city", "$top", "a b", "ünï", "__proto__", "x" * 70, "", "1", "a.b", "@id"]) | st.text(
    max_size=5
)
values = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["$top", "b"]), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.wire(8)
@given(st.lists(names, unique=True, max_size=5), st.data())
def test_properties_of_any_name_go_there_and_back(properties: list[str], data: st.DataObject):
    """The model sees names that the service takes; only those of the root are looked at."""
    schema = {"type": "object", "properties": {name: {"title": name} for name in properties}, "required": properties}
    form = ToolForm(json.dumps(schema))
    offered = json.loads(form.schema)
    assert all(PROPERTY.fullmatch(name) for name in offered["properties"])
    assert list(offered["properties"]) == offered["required"]
    assert [inner["title"] for inner in offered["properties"].values()] == properties
    arguments = {name: data.draw(values) for name in properties}
    sent = json.loads(form.to_wire(json.dumps(arguments)))
    assert list(sent) == offered["required"]
    assert json.loads(form.to_client(json.dumps(sent))) == arguments


def test_what_speaks_of_a_renamed_property_speaks_of_its_stand_in():
    """Also where it says which other fields a field needs."""
    schema = {
        "properties": {"$a": {}, "b": {}},
        "dependentRequired": {"$a": ["b"], "b": ["$a"]},
        "dependentSchemas": {"$a": {"required": ["b"]}},
    }
    offered: Any = json.loads(ToolForm(json.dumps(schema)).schema)
    stand_in = next(name for name in offered["properties"] if name != "b")
    assert offered["dependentRequired"] == {stand_in: ["b"], "b": [stand_in]}
    assert list(offered["dependentSchemas"]) == [stand_in]


@pytest.mark.wire(8)
@pytest.mark.parametrize("schema", ["{}", '{"type":"object","properties":{"a":{"maximum":1.0}}}'])
def test_a_schema_that_the_service_takes_travels_as_it_is(schema: str):
    """One that leaves the type out means an object."""
    form = ToolForm(schema)
    assert form.is_plain
    assert json.loads(form.schema) == {"type": "object", **json.loads(schema)}
    assert form.schema in {schema, '{"type":"object"}'}


@pytest.mark.parametrize(
    "root", [{"anyOf": [{"required": ["a"]}]}, {"oneOf": [{}]}, {"allOf": [{}]}, {"$ref": "#/$defs/a"}]
)
def test_a_union_at_the_root_travels_inside_of_an_object(root: dict[str, Any]):
    """And arguments come out as the model wrote them, should it forget the object too."""
    form = ToolForm(json.dumps({"type": "object", "$defs": {"a": {"type": "object"}}, **root}))
    offered = json.loads(form.schema)
    assert offered["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(offered)
    [wrapper] = offered["required"]
    assert form.to_client(f'{{"{wrapper}": {{"a": 1.0}}}}') == '{"a": 1.0}'
    assert form.to_client('{"a": 1.0}') == '{"a": 1.0}'
    assert json.loads(form.to_wire('{"a": 2}')) == {wrapper: {"a": 2}}


@pytest.mark.parametrize("arguments", ['{"city":"Os', "null", "[]", " ", "{'a': 1}", '{"a":"\t"}', "1", ""])
def test_what_is_no_object_is_shown_to_the_model_as_text(arguments: str):
    """A conversation with such a call goes on; what the model wrote comes to the client as it is."""
    form = ToolForm("{}")
    assert json.loads(form.to_wire(arguments)) == {UNREADABLE_ARGUMENTS: arguments}
    assert form.to_client(arguments) == arguments
