"""Patterns are read as ECMA-262 has them, and match what they match in JavaScript."""

import json
import subprocess
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.json_schema.patterns.atoms import PatternFault
from shared.json_schema.patterns.matching import Matcher, UnmatchablePattern
from shared.json_schema.patterns.parser import parse_pattern
from shared.json_schema.patterns.unicode_properties import BINARY_PROPERTIES, CATEGORIES, SCRIPTS
from tests.support.node import NODE

TEXTS = (
    *(
        "",
        "a",
        "b",
        "ab",
        "aab",
        "A",
        "é",
        "😀",
        "\n",
        "\r",
        "-",
        "1",
        "12 a",
        "\u03b1",
        "\u2028",
        " ",
        "[",
        "\\",
        "aé",
        "_",
    ),
    *(
        "k",
        "K",
        "\u212a",
        "\u017f",
        "\ufeff",
        "\x85",
        "\u180e",
        "\x08",
        "\x0b",
        "\x00",
        "/",
        "a\n",
        "٣",
        "$",
        "2020-01",
    ),
)
TRY = """
const [patterns, texts] = JSON.parse(require("fs").readFileSync(0))
const matched = pattern => {
  try { const known = new RegExp(pattern, "u"); return texts.map(text => known.test(text)) } catch { return null }
}
console.log(JSON.stringify(patterns.map(matched)))
"""


def in_javascript(patterns: list[str]) -> list[list[bool] | None]:
    """Which texts each pattern matches; None for what is no pattern."""
    sent = json.dumps([patterns, TEXTS])
    return json.loads(subprocess.run([NODE, "-e", TRY], input=sent, capture_output=True, text=True, check=True).stdout)


def here(pattern: str) -> list[bool] | None:
    try:
        matcher = Matcher(parse_pattern(pattern))
    except PatternFault:
        return None
    return [matcher.matches(text) for text in TEXTS]


TAKEN = (
    *(r"^[^\p{Cc}]+$", r"^\p{L}\p{Script=Greek}?$", r"\p{sc=Grek}", r"\p{gc=Lu}", r"\P{Lu}", r"\p{Any}", r"\p{ASCII}"),
    *(
        r"^\d$",
        r"^\w$",
        r"^\s$",
        r"^\S$",
        r"\D",
        r"^[\W]$",
        r"^[^\s\d]$",
        r"^.$",
        r"^[^]$",
        "[]",
        r"\bé",
        r"a\b",
        r"\B",
    ),
    *(r"^(?<y>\d{4})-(?<m>\d\d)", r"(?<a>a)|(?<a>b)", r"(?<$é>a)", r"(?<a>b)", r"^(?=a)a", r"(?!a)b", r"(?<=a)b"),
    *(r"(?<!a)b", r"(?=a\b)a", r"\u{1F600}", r"\u{00000041}", r"é", r"^😀$", r"\x41", r"\cA|\cz", r"\0"),
    *(
        r"^a\/b|\/$",
        r"\$|\^|\{|\}|\]",
        r"[\d\-x]",
        "[[]",
        "[a&&b]",
        "[!--]",
        r"[\b]",
        r"\v\f\t|[\v]",
        "#a b|12 a",
        "a{0}b",
    ),
    *(
        r"(?i:k)",
        r"(?i:a(?-i:b))",
        "(?i:[^k])",
        r"(?i:\w)",
        "(?s:.)",
        "(?i-:a)",
        r"(?-i:a)",
        "a{2,}?",
        "a*?b+?",
        "",
        "|",
        "()",
    ),
    *(
        "[\ud800-\udfff]",
        r"[^\ud800-\udfff]",
        r"\ud83d",
        r"[\ud000-\ue000]",
        r"[\p{L}\p{M}' -]{1,100}",
        "(?:a|b){1,2}$",
    ),
    # What Pydantic writes for a decimal.
    r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$",
)
REFUSED: dict[str, str] = {
    "a(?P<y>b)": "at character 2 (`(?P<y>b)`): `(?P<name>…)` is Python's; write `(?<name>…)`",
    "(?<y>a)(?P=y)": r"write `\k<name>`",
    "(?i)a": "at character 1 (`(?i)a`): flags for the rest of a pattern are Python's; write `(?i:…)`",
    "(?#x)": "comments",
    "(?>a)": "atomic groups",
    "(?(1)a)": "conditions",
    r"\Aa": "write `^`",
    r"a\Z": "at character 2 (`\\Z`): `\\Z` is not part of ECMA-262; write `$`",
    r"a\z": "write `$`",
    r"\-": "leave out the `\\`",
    r"\Q": "no such escape",
    r"\h": "no such escape",
    "a**": "`*` has nothing to repeat",
    "a++": "`+` has nothing to repeat",
    "(?=a)*": "`*` has nothing to repeat",
    "^+": "`+` has nothing to repeat",
    "a{,3}": "write `\\{`, or `{0,n}`",
    "a{x": "this `{` does not start a count",
    "{": "this `{` repeats nothing",
    "a{2,1}": "second number is less",
    "}": "this `}` closes nothing",
    "a]": "this `]` closes nothing",
    "(a": "this `(` is not closed",
    "a)": "this `)` closes nothing",
    "[a": "this `[` is not closed",
    "[[:alpha:]]": "this `]` closes nothing",
    "[b-a]": "ends before it begins",
    r"[\d-z]": "can't be the end of a range",
    r"\p{greek}": "exact name",
    r"\p{Script=greek}": "exact name",
    r"\pL": "exact name",
    r"\p{^L}": "exact name",
    r"\u{110000}": "no such escape",
    r"\u12": "no such escape",
    r"\x4": "no such escape",
    r"\c1": "no such escape",
    r"\01": "no such escape",
    r"\2(a)": "there is no group 2",
    r"\k<a>": "no group is called `a`",
    r"\k": "needs the name",
    "(?<a>x)(?<a>y)": "two groups are called `a`",
    "(?<a>(?<a>x))": "two groups are called `a`",
    "(?<1>x)": "can't be the name",
    "(?<a": "not closed by `>`",
    "(?ii:a)": "does not start a group",
    "(?-:a)": "does not start a group",
    "a\\": "a `\\` ends the pattern",
    "(" * 101: "nested more than 100 deep",
}


def test_patterns_of_ecma_262_match_what_they_match_in_javascript():
    """In the unicode mode, which JSON Schema asks for."""
    patterns = [*TAKEN, *REFUSED]
    matched = dict(zip(patterns, in_javascript(patterns), strict=True))
    del matched["(" * 101]
    assert {pattern: here(pattern) for pattern in matched} == matched
    assert None not in [matched[pattern] for pattern in TAKEN]


@pytest.mark.parametrize(("pattern", "why"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_no_pattern_there_is_refused_with_its_place(pattern: str, why: str):
    """And with what to write in its place, where that is known."""
    with pytest.raises(PatternFault) as caught:
        parse_pattern(pattern)
    assert str(caught.value).startswith("at character ")
    assert why in str(caught.value)


pieces = st.sampled_from(
    [
        *"ab-^$.*+?()[]{}|\\/0129,:=!<>ikpuxcdswDSWbB&~_é😀 #",
        *(
            "(?:",
            "(?=",
            "(?!",
            "(?<=",
            "(?<!",
            "(?<n>",
            "(?<m>",
            "(?i:",
            "(?P<n>",
            "(?i)",
            r"\p{L}",
            r"\p{Lu}",
            r"\P{Cc}",
        ),
        *(r"\p{sc=Grek}", r"\p{x}", r"\u{61}", "a", r"\ud83d", r"\ude00", r"\x41", r"\cA", r"\0", r"\d", r"\w", r"\s"),
        *(r"\b", r"\-", "[^", "{2}", "{1,3}", "{2,", "(?-i:", "(?s:", "[a-", r"\]", "]", ")"),
    ]
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(pieces, min_size=1, max_size=8).map("".join), min_size=200, max_size=200))
def test_whatever_is_written_it_is_taken_where_javascript_takes_it(patterns: list[str]):
    """And matches the same."""
    for pattern, matched in zip(patterns, in_javascript(patterns), strict=True):
        try:
            assert here(pattern) == matched, pattern
        except UnmatchablePattern:
            assert matched is not None


def test_every_property_that_is_known_is_one_of_javascript_and_none_is_lacking():
    """Each script of a character that is assigned has its name here."""
    names = [*CATEGORIES, *BINARY_PROPERTIES, *(f"sc={script}" for script in SCRIPTS)]
    script = """
    const names = JSON.parse(require("fs").readFileSync(0)), bad = [], scripts = []
    for (const name of names)
      try { const known = new RegExp(`\\\\p{${name}}`, "u"); if (name.startsWith("sc=")) scripts.push(known) }
      catch { bad.push(name) }
    for (let code = 0; code < 0x110000; code += 1) {
      const text = String.fromCodePoint(code)
      if (!/\\p{Cn}|\\p{Cs}/u.test(text) && !scripts.some(known => known.test(text))) bad.push(code)
    }
    console.log(JSON.stringify(bad))
    """
    found = subprocess.run([NODE, "-e", script], input=json.dumps(names), capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize(
    ("pattern", "unmatchable"),
    [(r"(a)\1", "a reference to a group"), (r"(?<a>b)\k<a>", "a reference to a group"), ("(?m:^a)", "the flag m")],
)
def test_what_no_engine_here_matches_is_still_a_pattern(pattern: str, unmatchable: str):
    """It is read, and says so."""
    assert parse_pattern(pattern).unmatchable == unmatchable


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * 1_000_000 + "!"),
        ("(?:a?){1000}a{1000}", "a" * 999),
        ("(.*a){20}c", "a" * 100_000),
        ("[ab]*a[ab]{2000}c", "ab" * 20_000),
    ],
)
def test_a_pattern_without_lookaround_takes_time_that_grows_with_the_text_only(pattern: str, text: str):
    """However its repetitions are nested."""
    assert not Matcher(parse_pattern(pattern)).matches(text)


def test_a_pattern_with_lookaround_gives_up_after_a_number_of_steps():
    """It could take longer than the sun."""
    matcher = Matcher(parse_pattern("^(?:(?=a)a|(?=a)aa)+$"))
    assert matcher.matches("a" * 300)
    with pytest.raises(UnmatchablePattern):
        matcher.matches("a" * 40 + "!")
    assert matcher.cost("a" * 1000) > 1000


@pytest.mark.parametrize("pattern", ["(?i:" + "[Ā-￿]" * 1900 + ")", "a{1,4294967295}", "((a{100}){100}){100}"])
def test_the_size_of_a_pattern_counts_what_it_makes_of_work(pattern: str):
    """Before anything is compiled."""
    assert parse_pattern(pattern).weight > 100_000


def test_half_a_surrogate_pair_in_a_text_is_one_character():
    """A model may write one."""
    matcher = Matcher(parse_pattern("^.{3}$"))
    text: Any = json.loads(r'"a\ud83db"')
    assert matcher.matches(text)
