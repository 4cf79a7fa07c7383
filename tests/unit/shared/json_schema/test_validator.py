"""Documents are held against schemas as the drafts say, exactly, and in bounded time."""

import contextlib
import json
import time
from typing import Any, cast

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.json_schema.keywords import META_SCHEMA_URIS
from shared.json_schema.validator import InvalidSchema, Validator

CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "a": {"type": "array", "items": {"type": "null"}},
    },
    "required": ["city"],
    "additionalProperties": False,
}


def fault(schema: Any, document: Any) -> str | None:
    return Validator(json.dumps(schema)).find_fault(json.dumps(document))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"city":"Paris"}', None),
        ('{"city":"Paris","days":2.0}', None),
        ("{}", "$: 'city' is a required property"),
        ('{"city":5}', "$.city: 5 is not of type 'string'"),
        ('{"city":"a","days":["x"]}', "$.days: a list is not of type 'integer'"),
        ('{"city":"a","a":[null,null,1]}', "$.a[2]: 1 is not of type 'null'"),
        ('{"city":"a","b c":1}', "$: 'b c' is not a property that is allowed"),
        ('{"city":', "it is not valid JSON"),
        ("", "it is not valid JSON"),
        ("NaN", "it is not valid JSON"),
        ("{'city':'a'}", "it is not valid JSON"),
    ],
)
def test_a_fault_is_named_with_its_place(document: str, expected: str | None):
    """Enough for the model to do better next time."""
    assert Validator(json.dumps(CITY)).find_fault(document) == expected


@pytest.mark.parametrize(
    ("schema", "document", "expected"),
    [
        ({"enum": ["a", "b"]}, "c", "$: 'c' is not one of 'a', 'b'"),
        ({"enum": list(range(9))}, 9, "$: 9 is not one of 0, 1, 2, 3, 4, …"),
        ({"const": 1}, True, "$: true is not 1"),
        ({"minLength": 2}, "a", "$: 'a' has 1 characters, fewer than 2"),
        ({"pattern": "^a"}, "b", "$: 'b' does not match '^a'"),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "$: the list has equal items"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 5, "$: 5 is not valid under any of the schemas of `anyOf`"),
        ({"anyOf": [{"type": "null"}, {"items": {"type": "null"}}]}, [5], "$[0]: 5 is not of type 'null'"),
        ({"oneOf": [{}, {}]}, 5, "$: 5 is valid under 2 of the schemas of `oneOf`"),
        ({"not": {}}, 5, "$: 5 is excluded by `not`"),
        ({"properties": {"a": False}}, {"a": 1}, "$.a: 1 is not allowed here"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "$: 'ab' has 2 characters, more than 1"),
        ({"contains": {"const": 1}}, [2], "$: 0 items of the list match `contains`"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "$: 'b' is a required property because 'a' is present"),
        ({"unevaluatedProperties": False}, {"é": 1}, "$: 'é' is not a property that is allowed"),
        ({"properties": {"a.b": {"type": "null"}}}, {"a.b": 1}, "$[\"a.b\"]: 1 is not of type 'null'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(schema: Any, document: Any, expected: str):
    """In the words of the schema."""
    assert fault(schema, document) == expected


def test_a_fault_is_short_whatever_is_wrong():
    """A place, a value or a name of any length."""
    deep: Any = 1
    for _ in range(60):
        deep = {"long name " * 20: deep}
    name = "x" * 5000
    for schema, document in (
        ({"additionalProperties": {"$ref": "#"}, "type": "object"}, deep),
        ({"const": name}, name + "y"),
        ({"required": [name]}, {}),
        ({"pattern": name}, name[1:]),
    ):
        said = fault(schema, document)
        assert said is not None
        assert 0 < len(said) <= 300
        assert said.startswith("$")


@pytest.mark.parametrize(
    ("schema", "document", "valid"),
    [
        ('{"maximum":9223372036854775807}', "9223372036854775807", True),
        ('{"maximum":9223372036854775807}', "9223372036854775808", False),
        ('{"maximum":9223372036854775807}', "9223372036854775807.5", False),
        ('{"const":0.1000000000000000055}', "0.1", False),
        ('{"const":9007199254740993}', "9007199254740992", False),
        ('{"enum":[1]}', "1.0", True),
        ('{"type":"integer"}', "1e400", True),
        ('{"type":"integer"}', "1.50e1", True),
        ('{"type":"integer"}', "1.5", False),
        ('{"multipleOf":0.01}', "19.99", True),
        ('{"multipleOf":0.01}', "1e400", True),
        ('{"multipleOf":0.01}', "1e999999999", True),
        ('{"multipleOf":3}', "1e999999999", False),
        ('{"multipleOf":1e-400}', "0.5", True),
        ('{"maximum":1e400}', "1e401", False),
        ('{"exclusiveMinimum":0}', "1e-400", True),
        ('{"minimum":-0}', "-0.0", True),
        ('{"minLength":2.0}', '"ab"', True),
        ('{"uniqueItems":true}', "[1,1.0]", False),
        ('{"uniqueItems":true}', '[1,true,0,false,"1",null]', True),
        ('{"maxLength":1}', '"😀"', True),
        ('{"maxLength":1}', r'"\ud83d"', True),
        ('{"type":"string"}', r'"\ud83d"', True),
        ('{"type":"object"}', r'{"\ud83d":1}', True),
    ],
)
def test_numbers_and_texts_are_compared_exactly(schema: str, document: str, valid: Any):
    """Beyond what a double holds, and what UTF-8 can write."""
    assert (Validator(schema).find_fault(document) is None) is valid


@pytest.mark.parametrize("document", ["1" * 5000, "1e99999999999999999999999", "[" * 100_000, "[" * 900 + "]" * 900])
def test_a_document_that_cannot_be_read_is_a_fault_not_a_crash(document: str):
    """Its schema has no say."""
    assert Validator('{"items":{"$ref":"#"}}').find_fault(document)


SCHEMAS_OF_DRAFTS: dict[str, tuple[Any, Any, dict[int, bool]]] = {
    "const": ({"const": 1}, 2, {4: True, 6: False, 2020: False}),
    "if": ({"if": {}, "then": False}, 1, {6: True, 7: False, 2020: False}),
    "exclusive": ({"minimum": 1, "exclusiveMinimum": True}, 1, {4: False}),
    "exclusive number": ({"exclusiveMinimum": 1}, 1, {6: False, 2020: False}),
    "prefix": ({"prefixItems": [False]}, [1], {7: True, 2019: True, 2020: False}),
    "items": ({"items": [{}], "additionalItems": False}, [1, 2], {4: False, 7: False, 2019: False}),
    "siblings of $ref": (
        {"allOf": [{"$ref": "#/definitions/a", "type": "null"}], "definitions": {"a": {}}},
        1,
        {7: True, 2019: False},
    ),
    "unevaluated": ({"unevaluatedProperties": False}, {"a": 1}, {7: True, 2019: False, 2020: False}),
    "dependencies": ({"dependencies": {"a": ["b"]}}, {"a": 1}, {4: False, 7: False, 2020: False}),
    "minContains": ({"contains": {}, "minContains": 0}, [], {7: False, 2019: True, 2020: True}),
}


@pytest.mark.parametrize(("schema", "document", "verdicts"), SCHEMAS_OF_DRAFTS.values(), ids=SCHEMAS_OF_DRAFTS)
def test_each_draft_has_its_own_keywords(schema: Any, document: Any, verdicts: dict[Any, bool]):
    """By `$schema`; 2020-12 without one, and for one that nobody knows."""
    for draft, valid in verdicts.items():
        assert (fault({"$schema": META_SCHEMA_URIS[draft], **schema}, document) is None) is valid, draft
    if 2020 in verdicts:
        assert (fault(schema, document) is None) is verdicts[2020]
        assert (fault({"$schema": "https://example.com/mine", **schema}, document) is None) is verdicts[2020]


def test_a_dynamic_reference_leads_to_the_outermost_anchor():
    """A tree that is made strict by what refers to it."""
    tree = {"$id": "tree", "$dynamicAnchor": "node", "properties": {"of": {"items": {"$dynamicRef": "#node"}}}}
    strict = {
        "$id": "https://example.com/strict",
        "$dynamicAnchor": "node",
        "$defs": {"tree": tree},
        "$ref": "tree",
        "unevaluatedProperties": False,
    }
    assert fault(strict, {"of": [{"of": []}]}) is None
    assert fault(strict, {"of": [{"off": []}]}) == "$.of[0]: 'off' is not a property that is allowed"


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("[]", "$: must be a JSON Schema"),
        ("{", "$: it is not valid JSON"),
        ('{"a":' + "1" * 2000 + "}", "$: it has a number"),
        ('{"type":"what"}', "$.type: is not valid JSON Schema"),
        ('{"$ref":"https://example.com"}', "$.$ref: is `https://example.com`, which is another document"),
        ('{"items":{"pattern":"(a)\\\\1"}}', "$.items.pattern: can't be checked here"),
        ('{"pattern":"' + "a" * 20_000 + '"}', "$.pattern: is too long"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: str, why: str):
    """In a sentence, with the place."""
    with pytest.raises(InvalidSchema) as caught:
        Validator(schema)
    assert str(caught.value).startswith(why)
    assert len(str(caught.value)) <= 301


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def narrowed(depth: int) -> Any:
    schema: Any = {"properties": {"a": True}}
    for _ in range(depth):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    return schema


BRANCHING = {
    "$defs": {
        **{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)},
        "d40": {"type": "object"},
    },
    "$ref": "#/$defs/d0",
}
EVERY_WAY = {
    "anyOf": [{"items": {"$ref": "#"}, "type": "array"}, {"items": {"$ref": "#"}, "minItems": 1}, {"const": 2}]
}
HOSTILE: dict[str, tuple[Any, Any, bool | None]] = {
    "references that branch": (BRANCHING, {}, True),
    "references that branch, invalid": (BRANCHING, 1, False),
    "a list every way": ({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, nested(1, 60), True),
    "alternatives every way": (EVERY_WAY, nested(1, 60), True),
    "alternatives every way, invalid": ({"not": EVERY_WAY}, nested(1, 60), False),
    "unevaluated in unevaluated": (narrowed(30), {"a": 1}, True),
    "unevaluated in unevaluated, invalid": (narrowed(30), {"b": 1}, False),
    "objects to choose from": ({"items": {"enum": [{"a": n} for n in range(5000)]}}, [{"a": 4999}] * 5000, True),
    "schemas for each item": ({"items": {"allOf": [{"minimum": 0}] * 5000}}, [1] * 5000, None),
    "names for each item": ({"items": {"required": [f"{n}" for n in range(5000)]}}, [{}] * 5000, False),
    "patterns for each name": (
        {"patternProperties": {f"^a{n}b*$": {} for n in range(500)}},
        dict.fromkeys(map(str, range(3000)), 1),
        None,
    ),
    "a long text": ({"pattern": "^(a+)+$"}, "a" * 1_000_000 + "!", False),
    "a long text for a large pattern": ({"pattern": "^(?:[ab]{1,90}c?){1,90}$"}, "ab" * 500_000, None),
    "lookaround": ({"pattern": "^(?:(?=a)a|(?=a)aa)+$"}, "a" * 40 + "!", None),
    "lookaround in many texts": ({"items": {"pattern": r"(?=[^b]*b)c|a"}}, ["a" * 500] * 5000, None),
    "equal items": ({"uniqueItems": True}, [{"a": [n]} for n in range(100_000)], None),
    "many values": (
        {"items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        [{"a": n} for n in range(20_000)],
        True,
    ),
}


@pytest.mark.parametrize(("schema", "document", "valid"), HOSTILE.values(), ids=HOSTILE)
def test_no_schema_and_no_document_take_more_than_a_bounded_time(schema: Any, document: Any, valid: Any):
    """There is a verdict, or the sentence that there is none. The bound is far above what it takes on a busy machine."""
    began = time.process_time()
    said = fault(schema, document)
    # About a second of the processor's on a slow machine, where the libraries take minutes to centuries.
    assert time.process_time() - began < 5
    if valid is None:
        assert said is not None
        assert "takes" in said
    else:
        assert (said is None) is valid


def test_a_schema_and_document_of_an_honest_size_are_checked_whole():
    """Thousands of rows; a language's grammar with many forms in each other."""
    row = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "tags": {"items": {"type": "string"}}},
        "required": ["id"],
    }
    rows = [{"id": n, "tags": ["a", "b"]} for n in range(4000)]
    assert fault({"type": "array", "items": row}, rows) is None
    assert fault({"type": "array", "items": row}, [*rows, {}]) == "$[4000]: 'id' is a required property"
    form: list[Any] = [
        {
            "type": "object",
            "properties": {"op": {"const": f"{n}"}, "of": {"items": {"$ref": "#"}}},
            "required": ["op", "of"],
        }
        for n in range(12)
    ]
    expression: Any = 3
    for level in range(20):
        expression = {"op": f"{level % 12}", "of": [expression, 3]}
    assert fault({"anyOf": [*form, {"type": "number"}]}, expression) is None


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0, "", "a", "ab", "b1"])
names = st.sampled_from(["a", "b", "ab"])
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
small = st.integers(0, 3)
types = st.sampled_from(["null", "boolean", "object", "array", "number", "string", "integer"])


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(names, inner, max_size=2)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(documents, min_size=1, max_size=3, unique_by=repr),
        "const": documents,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(-2, 2)),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), small),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]", "^$"]),
        "uniqueItems": st.booleans(),
        "required": st.lists(names, max_size=2, unique=True),
        "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(
            (
                *("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"),
                *("unevaluatedItems", "unevaluatedProperties"),
            ),
            inner,
        ),
        **dict.fromkeys(("properties", "dependentSchemas"), named),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2),
        **dict.fromkeys(("minContains", "maxContains"), small),
        "$ref": st.sampled_from(["#/$defs/a", "#b", "https://example.com/root#/$defs/a"]),
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({keyword: keywords[keyword] for keyword in chosen})
    )


schemas: st.SearchStrategy[Any] = st.recursive(st.booleans() | schemas_of(st.booleans()), schemas_of, max_leaves=6)
roots = st.tuples(schemas.filter(lambda schema: isinstance(schema, dict)), schemas, schemas).map(
    lambda made: {
        **cast("dict[str, Any]", made[0]),
        "$id": "https://example.com/root",
        "$defs": {"a": made[1], "b": {**({} if isinstance(made[2], bool) else made[2]), "$anchor": "b"}},
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(roots, st.lists(documents, min_size=1, max_size=4))
def test_the_verdict_is_that_of_the_libraries(schema: Any, values: list[Any]):
    """Where they agree with each other."""
    try:
        validator = Validator(json.dumps(schema))
    except InvalidSchema:
        return
    for value in values:
        with contextlib.suppress(RecursionError):
            verdicts = {
                jsonschema.Draft202012Validator(schema).is_valid(value),
                jsonschema_rs.Draft202012Validator(schema, offline=True).is_valid(value),
            }
            if len(verdicts) == 1:
                assert (validator.find_fault(json.dumps(value)) is None) is verdicts.pop(), value
