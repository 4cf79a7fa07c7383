"""What JavaScript changes in JSON is found, and numbers that it can't hold are carried as strings."""

import json
import subprocess
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.text.exact_json import MAX_PLACES, find_alterations, quote_inexact_numbers
from tests.support.node import NODE

REWRITE = """
const texts = JSON.parse(require("fs").readFileSync(0))
console.log(JSON.stringify(texts.map(text => JSON.stringify(JSON.parse(text)))))
"""


def rewritten(texts: list[str]) -> list[str]:
    """What JavaScript makes of JSON texts."""
    sent = json.dumps(texts)
    return json.loads(
        subprocess.run([NODE, "-e", REWRITE], input=sent, capture_output=True, text=True, check=True).stdout
    )


def spelled(text: str) -> Any:
    """A text's values with their numbers as they are spelled, and all properties in their order."""
    return json.loads(
        text, object_pairs_hook=list, parse_int=lambda n: ("number", n), parse_float=lambda n: ("number", n)
    )


def meant(text: str) -> Any:
    """A text's values, exactly."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def same(value: Any, read: Any) -> bool:
    """Whether a value is read as it was meant, or as the text of its number."""
    match value, read:
        case Decimal(), str():
            return Decimal(read) == value
        case dict(), dict():
            return value.keys() == read.keys() and all(same(value[name], read[name]) for name in value)
        case list(), list():
            return len(value) == len(read) and all(map(same, value, read))
        case _:
            return type(value) is type(read) and value == read


CARRIED = {
    '{"id":2512292042121000001,"one":1.0,"10":"a","2":"b"}': '{"id":"2512292042121000001","one":1.0,"10":"a","2":"b"}',
    '{"a":[9007199254740993,9007199254740992]}': '{"a":["9007199254740993",9007199254740992]}',
    "[-9223372036854775808]": '["-9223372036854775808"]',
    "[1e400,-1e400,1E-400]": '["1e400","-1e400","1E-400"]',
    "[0.1000000000000000055,0.1]": '["0.1000000000000000055",0.1]',
    "[123456789012345680000,100000000000000000000000]": "[123456789012345680000,100000000000000000000000]",
    "[-0,0e999999999,-0.0,1e2,5e-324]": "[-0,0e999999999,-0.0,1e2,5e-324]",
    '{"2512292042121000001":"2512292042121000001 1e400"}': '{"2512292042121000001":"2512292042121000001 1e400"}',
    r'{"a\"":"\\","b":1e400}': r'{"a\"":"\\","b":"1e400"}',
    '{"a":1,"a":9007199254740993}': '{"a":1,"a":"9007199254740993"}',
    ' {\n "a" :\t9007199254740993 } ': ' {\n "a" :\t"9007199254740993" } ',
    f"[{'1' * 5000}]": f'["{"1" * 5000}"]',
    f"[1e{'9' * 5000}]": f'["1e{"9" * 5000}"]',
    f"[0.{'0' * 5000}1]": f'["0.{"0" * 5000}1"]',
    f"[1{'0' * 200}]": f"[1{'0' * 200}]",
    f"[0.5{'0' * 200}]": f"[0.5{'0' * 200}]",
    '{"id":9007199254740993,': '{"id":9007199254740993,',
    "9007199254740993": '"9007199254740993"',
    "{}": "{}",
}


@pytest.mark.parametrize(("text", "carried"), CARRIED.items(), ids=range(len(CARRIED)))
def test_a_number_that_a_double_cannot_hold_is_carried_as_a_string(text: str, carried: str):
    """With the same digits; everything else is left as it is, byte for byte."""
    assert quote_inexact_numbers(text) == carried


FOUND: dict[str, tuple[str, ...]] = {
    '{"id":2512292042121000001,"one":1.0,"10":"a","2":"b"}': ("$.id", "$.one", "$"),
    '{"properties":{"n":{"maximum":9223372036854775807}}}': ("$.properties.n.maximum",),
    "[1,[2,{}],1e2]": ("$[2]",),
    "[1e400,0.1000000000000000055,-0,1.50]": ("$[0]", "$[1]", "$[2]", "$[3]"),
    '{"a":1,"b":2,"a":3}': ("$.a",),
    r'{"a":1,"\u0061":3}': ("$.a",),
    '{"x":{"b":1,"0":2}}': ("$.x",),
    '{"1":1,"2":2,"b":3}': (),
    '{"2":1,"1":2}': ("$",),
    '{"a":1,"01":2,"-1":3,"4294967295":4,"1.5":5}': (),
    '{"a":1,"4294967294":2}': ("$",),
    '{"a b":{"é\\"":1.0}}': ('$["a b"]["\\xe9\\""]',),
    '"2512292042121000001"': (),
    '{"a":"1e400, \\"1\\": 1.0","b":[true,false,null]}': (),
    "1e21": ("$",),
    "1e+21": (),
    "0.0000001": ("$",),
    "1e-7": (),
    "": (),
    "{": (),
    '{"id":2512292042121000001,': (),
    '{"id":2512292042121000001} x': (),
    "[NaN,1.0]": (),
    "{'id':1.0}": (),
    "[1.0]]": (),
}


@pytest.mark.parametrize(("text", "places"), FOUND.items(), ids=range(len(FOUND)))
def test_what_javascript_changes_is_found_by_its_place(text: str, places: tuple[str, ...]):
    """Values, forms, orders and names that come twice; nothing in what is no JSON."""
    assert find_alterations(text) == places


numbers = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.integers(2**53 - 3, 2**53 + 3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["-0", "1e21", "1e-7", "0.000001", "1e23", "1.7976931348623159e308", "4.9e-324", "2e-324"]),
)
names = st.sampled_from(
    ["a", "b", "0", "1", "10", "01", "-1", "4294967294", "4294967295", "1.0", "é", "__proto__", 'a\\"']
)
spaces = st.sampled_from(["", "", " ", "\n", "\t\r\n"])
leaves = numbers | st.sampled_from(["true", "null", '""', '"1e400"', '"12345678901234567890"', r'"\ud83d\"1.0"', '"{"'])


def lists_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(inner, max_size=3), spaces).map(lambda made: f"[{made[1]}{f'{made[1]},'.join(made[0])}]")


def objects_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    field = st.tuples(names, spaces, inner).map(lambda made: f'"{made[0]}"{made[1]}:{made[1]}{made[2]}')
    return st.lists(field, max_size=4).map(lambda fields: f"{{{','.join(fields)}}}")


texts = st.recursive(leaves, lambda inner: lists_of(inner) | objects_of(inner), max_leaves=6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(texts, min_size=30, max_size=60))
def test_whatever_javascript_does_to_a_text_it_is_found_and_what_is_carried_is_read_as_it_was_meant(sent: list[str]):
    """By the parser of JavaScript itself."""
    carried = [quote_inexact_numbers(text) for text in sent]
    for text, changed, read in zip(sent, rewritten(sent), rewritten(carried), strict=True):
        assert (spelled(text) == spelled(changed)) is (find_alterations(text) == ()), text
        assert same(meant(text), meant(read)), text
        assert quote_inexact_numbers(quote_inexact_numbers(text)) == quote_inexact_numbers(text)


@given(st.text(max_size=40) | st.text('[]{},:"\\0123456789.eE-+ tfn', max_size=40))
def test_no_text_is_too_odd(text: str):
    """What the model cut off, wrote in its own way, or never meant as JSON."""
    try:
        json.loads(text, parse_int=str)
    except ValueError:
        assert (quote_inexact_numbers(text), find_alterations(text)) == (text, ())


SIZE = 2 * 1024 * 1024
LARGE = {
    "a long text": '{"a":"' + "x\\n" * (SIZE // 3) + '"}',
    "numbers in texts": "[" + ",".join(['"2512292042121000001"'] * (SIZE // 22)) + "]",
    "plain numbers": "[" + ",".join(["12"] * (SIZE // 3)) + "]",
    "objects": "[" + ",".join(['{"a":1}'] * (SIZE // 8)) + "]",
}
LARGE_AND_ALTERED = {
    "numbers": "[" + ",".join(["2512292042121000001"] * (SIZE // 20)) + "]",
    "forms": "[" + ",".join(["1e1"] * (SIZE // 4)) + "]",
    "at the end": "[" + "1," * (SIZE // 2) + "1.0]",
    "digits": "1" * SIZE,
    "an exponent": "1e" + "1" * SIZE,
    "zeros": "0." + "0" * SIZE + "1",
    "spaces": " " * SIZE + "1.0",
    "levels": "[" * 5000 + "1.0" + "]" * 5000,
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_a_large_text_that_stays_as_it_is_is_passed_over(text: str):
    """It is the very same."""
    assert quote_inexact_numbers(text) is text
    assert find_alterations(text) == ()


@pytest.mark.parametrize("text", LARGE_AND_ALTERED.values(), ids=LARGE_AND_ALTERED)
def test_a_large_text_that_is_altered_is_never_silent(text: str):
    """A few places are named, or the whole."""
    found = find_alterations(text)
    assert 0 < len(found) <= MAX_PLACES
    assert all(len(place) < 1000 for place in found)
    quote_inexact_numbers(text)


def test_garbage_of_any_size_is_left_alone():
    """In time that grows with its length only."""
    for garbage in ("[" * SIZE, '"' * SIZE, "-" * SIZE, '{"a":"' + 'x\\"' * (SIZE // 3), "1 " * (SIZE // 2)):
        assert quote_inexact_numbers(garbage) is garbage
