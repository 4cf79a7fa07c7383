"""A schema is usable or refused with the place at fault, before anything is spent on it."""

from typing import Any

import jsonschema_rs
import pytest

from api.conversation.schemas import check_schema
from api.core.problems import Problem
from shared.json_schema.limits import SchemaBudget

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
    "a property called pattern": {"properties": {"pattern": {"type": "string"}, "$id": {}, "enum": {"type": "null"}}},
    "examples that look like references": {
        "properties": {"a": {"examples": [{"$ref": "#/components/schemas/Pet"}], "default": {"$ref": "x"}}},
        "const": {"$ref": "nowhere", "pattern": "("},
        "enum": [{"$ref": "#/a", "items": {"type": "what"}}],
        "x-more": {"$ref": "https://example.com/", "$id": 5, "$schema": 7},
    },
    "names that look like keywords": {
        "$defs": {"$ref": {"type": "string"}},
        "patternProperties": {"^\\$ref$": {"$ref": "#/$defs/$ref"}},
        "dependentSchemas": {"$ref": {"required": ["a"]}},
        "dependencies": {"$ref": ["a"]},
    },
    "an id": {"$id": "https://example.com/root.json", "$defs": {"a": {"$id": "a.json"}}, "$ref": "a.json"},
    "an id, nested": {
        "$id": "https://example.com/root/",
        "$defs": {"a": {"$id": "a/", "$defs": {"b": {"$id": "b", "type": "string"}}, "items": {"$ref": "b"}}},
        "allOf": [{"$ref": "a/"}, {"$ref": "https://example.com/root/a/b"}, {"$ref": "/root/a/#/$defs/b"}],
    },
    "an id of its own part": {"$defs": {"a": {"$id": "urn:a", "items": {"$ref": "#"}}}, "$ref": "urn:a"},
    "an id that is relative": {"$id": "root", "$defs": {"a": {"$id": "part"}}, "items": {"$ref": "part#"}},
    "an id of draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "definitions": {"a": {"id": "#here", "additionalProperties": False}, "b": {"id": "b.json"}},
        "items": [{"$ref": "#here"}, {"$ref": "b.json"}],
    },
    "a dynamic anchor": {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
    "a recursive anchor": {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$recursiveAnchor": True,
        "items": {"$recursiveRef": "#"},
    },
    "escapes in a pointer": {
        "$defs": {"a/b~c%d e": {"type": "null"}, "é": {}},
        "allOf": [{"$ref": "#/$defs/a~1b~0c%25d%20e"}, {"$ref": "#/$defs/%C3%A9"}, {"$ref": "#/$defs/é"}],
    },
    "a place of the client's own": {
        "components": {"schemas": {"Pet": {"type": "object"}}},
        "$ref": "#/components/schemas/Pet",
    },
    "an integer's limit": {"maximum": 9223372036854775807, "minimum": -1e308, "multipleOf": 0.01},
    "unknown keywords": {"type": "string", "x-order": 1, "nullable": True, "example": "a"},
    "an unknown dialect": {"$schema": "https://example.com/mine", "type": "string"},
    "a pattern": {"type": "string", "pattern": "^[^\\p{Cc}]+(?<y>a)\\/$"},
    "deep": nested(60),
}


@pytest.mark.wire(13, 77)
@pytest.mark.parametrize("schema", USABLE.values(), ids=USABLE)
def test_a_schema_that_can_be_compiled_is_taken_as_it_is(schema: dict[str, Any]):
    """Any root, any dialect, with what other vendors add."""
    assert check_schema(schema, WHERE) == schema


REFUSED: dict[str, tuple[Any, str, str]] = {
    "null": (None, "", "must be a JSON Schema, which is an object"),
    "true": (True, "", "must be a JSON Schema, which is an object"),
    "list": ([], "", "must be a JSON Schema, which is an object"),
    "unknown type": ({"properties": {"a": {"type": "text"}}}, ".properties.a.type", "not valid JSON Schema"),
    "type in a list": ({"anyOf": [{"type": "string"}, {"type": 5}]}, ".anyOf[1].type", "not valid JSON Schema"),
    "required no list": ({"required": "a"}, ".required", "not valid JSON Schema"),
    "pattern broken": ({"pattern": "("}, ".pattern", "at character 1 (`(`): this `(` is not closed"),
    "pattern of Python": ({"items": {"pattern": "a(?P<y>b)"}}, ".items.pattern", "write `(?<name>…)`"),
    "pattern of a name": ({"patternProperties": {"(?i)a": {}}}, '.patternProperties["(?i)a"]', "write `(?i:…)`"),
    "pattern too long": ({"pattern": "a" * 10_001}, ".pattern", "may have 10,000 characters"),
    "pattern that can't be checked": ({"pattern": "(a)\\1"}, ".pattern", "a reference to a group"),
    "pattern too large": ({"pattern": "a{1,4294967295}"}, ".pattern", "repetitions written out"),
    "minimum of a text": ({"minimum": "1"}, ".minimum", "not valid JSON Schema"),
    "reference to nothing": ({"items": {"$ref": "#/$defs/a"}}, ".items.$ref", "`#/$defs/a`, which leads nowhere"),
    "reference to no schema": ({"title": "a", "items": {"$ref": "#/title"}}, ".items.$ref", "leads nowhere"),
    "reference into a text": ({"title": "a", "$ref": "#/title/a"}, ".$ref", "leads nowhere"),
    "reference past a list": ({"anyOf": [{}], "$ref": "#/anyOf/1"}, ".$ref", "leads nowhere"),
    "reference to no anchor": ({"$ref": "#nope"}, ".$ref", "`#nope`, which leads nowhere"),
    "reference elsewhere": (
        {"prefixItems": [{"$ref": "https://example.com/a"}]},
        ".prefixItems[0].$ref",
        "`https://example.com/a`, which is another document; other documents are never fetched",
    ),
    "reference to a file": ({"$ref": "file:///etc/passwd"}, ".$ref", "is another document"),
    "reference to the dialect": ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, ".$ref", "another document"),
    "reference to no address": ({"$ref": "http://[bad"}, ".$ref", "is another document"),
    "reference before a list": ({"anyOf": [{}], "$ref": "#/anyOf/-1"}, ".$ref", "leads nowhere"),
    "reference by odd digits": ({"anyOf": [{}, {}], "$ref": "#/anyOf/01"}, ".$ref", "leads nowhere"),
    "reference to what is no schema": (
        {"x": {"y": {"type": "what"}}, "$ref": "#/x/y"},
        ".$ref.type",
        "not valid JSON Schema",
    ),
    "reference to a broken pattern": ({"x": {"pattern": "("}, "$ref": "#/x"}, ".$ref.pattern", "is not closed"),
    "itself": ({"$ref": "#"}, "", "leads back to itself"),
    "itself, inside": ({"properties": {"a": {"$ref": "#/properties/a"}}}, ".properties.a", "leads back to itself"),
    "each other": (
        {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        ".$defs.",
        "leads back to itself",
    ),
    "a long way": (
        {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(200)} | {"a200": {}}},
        ".$defs.a",
        "leads through more than 100 schemas",
    ),
    "dialect no text": ({"$schema": []}, ".$schema", "must be a string"),
    "too deep": (nested(70), "", "more than 64 levels"),
}


@pytest.mark.wire(8, 13)
@pytest.mark.parametrize(("schema", "place", "fix"), REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_used_is_refused_with_the_place_in_it(schema: Any, place: str, fix: str):
    """Before anything is spent on it."""
    with pytest.raises(Problem) as caught:
        check_schema(schema, WHERE)
    refused = caught.value
    assert (refused.status, refused.code) == (400, "invalid_schema")
    assert refused.param is not None
    assert refused.param.startswith(WHERE + place)
    assert f"`{refused.param}`" in refused.message
    assert fix in refused.message


def test_a_refusal_does_not_repeat_a_schema_at_length():
    """A sentence is for people."""
    with pytest.raises(Problem) as caught:
        check_schema({"type": "x" * 10_000}, WHERE)
    assert len(caught.value.message) < 400


def test_references_that_branch_take_no_time():
    """Sixty levels of two references each are visited once, not 2^60 times."""
    levels = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(40)}
    assert check_schema({"$defs": {**levels, "d40": {}}, "allOf": [{"$ref": "#/$defs/d0"}]}, WHERE)


@pytest.mark.parametrize(
    ("schema", "fix"),
    [
        ({"enum": ["x" * 1_000_000] * 5}, "may have 4,194,304 bytes"),
        ({"enum": [{}] * 40_000}, "may hold 30,000 objects and lists"),
        (
            {"$defs": {f"a{n}": {} for n in range(6000)}, "items": [{"$ref": f"#/$defs/a{n}"} for n in range(6000)]},
            "5,000",
        ),
        ({"patternProperties": {f"{n}{'a' * 9990}": {} for n in range(11)}}, "may have 100,000 characters"),
    ],
    ids=["bytes", "values", "references", "patterns"],
)
def test_a_schema_beyond_a_limit_is_refused_with_the_limit(schema: dict[str, Any], fix: str):
    """Whatever of it is large."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
    with pytest.raises(Problem, match=fix) as caught:
        check_schema(schema, WHERE)
    assert caught.value.status == 400


def test_the_schemas_of_a_request_share_its_limits():
    """Many small ones are as much work as a large one."""
    allowance = SchemaBudget()
    check_schema({"enum": [{}] * 20_000}, WHERE, allowance)
    with pytest.raises(Problem, match="objects and lists"):
        check_schema({"enum": [{}] * 20_000}, WHERE, allowance)


@pytest.mark.parametrize("pattern", [r"(a)\1", "a{1,4294967295}", r"(?m:^a)", r"\p{Surrogate}", r"\p{L}{1,60000}"])
def test_a_pattern_that_nothing_is_checked_against_only_has_to_be_one(pattern: str):
    """Arguments of a tool that is not strict are never held against its schema here."""
    schema = {"pattern": pattern}
    assert check_schema(schema, WHERE, evaluated=False) == schema
    with pytest.raises(Problem):
        check_schema(schema, WHERE)


@pytest.mark.parametrize("dialect", ["http://127.0.0.1:9/schema", "https://json-schema.org/draft/2099-01/schema"])
def test_a_dialect_nobody_knows_is_not_looked_up_on_the_network(dialect: str, monkeypatch: pytest.MonkeyPatch):
    """What a client names as `$schema` is a name, not an address to fetch from."""

    def never(_schema: object) -> bool:
        raise AssertionError("asked a library that fetches what it does not know")

    monkeypatch.setattr(jsonschema_rs.meta, "is_valid", never)
    assert check_schema({"$schema": dialect, "type": "object"}, "here")["type"] == "object"
