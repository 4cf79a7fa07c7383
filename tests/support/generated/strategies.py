"""What clients send, by chance: the ugliest of everything, side by side."""

import json
from collections.abc import Callable

from hypothesis import strategies as st

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    File,
    Instruction,
    Picture,
    Result,
    Step,
    Tool,
    User,
    Words,
)
from tests.support.generated.pictures import GIF, PDF, noise, png

alphabet = st.one_of(
    st.sampled_from("ab @/#!-<>\"\\{}[]`'$%&;|*~\n\r\t"),
    st.sampled_from("\u2028\u2029\x0b\x85\u00a0\u200b\ufeff\u202e\x00\x01\x1b\x7f\ufffdé日🦀👩🏽\u200d\u0301ßΣ"),
    st.characters(exclude_categories=["Cs"]),
)
words = (
    st.text(alphabet, max_size=30) | st.text("long ünï\n", min_size=3000, max_size=3000) | st.sampled_from(["", " "])
)
visible = words.map(lambda said: f"{said}.")

pictures = st.one_of(
    st.integers(0, 255).map(lambda grey: Picture("image/png", png(grey))),
    st.just(Picture("image/gif", GIF)),
    st.sampled_from([(2001, 20), (1600, 1000), (20, 2001)]).map(lambda sides: Picture("image/png", noise(*sides))),
)
files = st.builds(
    lambda said, name: File("text/plain", said.replace("\x00", "").removeprefix("\ufeff").encode(), name),
    visible,
    st.none() | st.sampled_from(["notes.txt", "ünï códe.md", "a b.py"]),
) | st.sampled_from([File("application/pdf", PDF), File("application/pdf", PDF, "paper.pdf")])

# --- JSON as text ------------------------------------------------------------------------------------------------------

INTEGERS = ["0", "-0", "7", "-12", "9007199254740993", "2512292042121000001", "-9223372036854775808", "1" * 40]
FRACTIONS = ["1.0", "-0.0", "0.1", "1e2", "1E+2", "2.50", "1e-7", "0.30000000000000004", "12345678901234567890.5"]
PLAIN_NAMES = ["city", "a", "b", "A", "a.b", "a-b", "_", "constructor", "__proto__", "toString", "10", "2", "1", "007"]
ODD_NAMES = ["$top", "a b", "ünï", "n" * 70, "", "a/b", "日", "x\ny", '"', "$ref "]
names = st.sampled_from([*PLAIN_NAMES, *ODD_NAMES])


def json_strings(text: str) -> st.SearchStrategy[str]:
    """A JSON string: with escapes, or with the characters themselves."""
    return st.booleans().map(lambda escaped: json.dumps(text, ensure_ascii=escaped))


def json_lists(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def json_objects(items: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in items) + "}"


scalars = st.sampled_from([*INTEGERS, *FRACTIONS, "null", "true", "false"]) | words.flatmap(json_strings)
fields: Callable[[st.SearchStrategy[str]], st.SearchStrategy[str]] = lambda inner: st.lists(  # noqa: E731
    st.tuples(names, inner), max_size=4, unique_by=lambda item: item[0]
).map(json_objects)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(json_lists) | fields(inner), max_leaves=5)
UNREADABLE = ['{"city":"Os', "null", "[]", " ", '{"a":"\tb"}', "{'a': 1}", '"x"', "17", '{"a":1}}', '{"a":1,}', "NaN"]
arguments = st.one_of(fields(values), fields(values), st.sampled_from(UNREADABLE))

# --- Tools -------------------------------------------------------------------------------------------------------------

EXAMPLE = '{"type":"string"}'
property_schemas = st.sampled_from(
    [
        EXAMPLE,
        '{"type":"integer","maximum":9223372036854775807}',
        '{"type":"number","minimum":1.0,"default":1e2}',
        '{"enum":["b","a",1.5,null],"default":"b"}',
        '{"type":"object","properties":{"$top":{"type":"integer"},"10":{},"2":{}},"required":["$top"]}',
        '{"anyOf":[{"type":"string"},{"type":"null"}],"description":"ünï\\n\\"x\\""}',
        '{"type":"array","items":{"type":"string"},"examples":[["a"],[]]}',
        "true",
        "{}",
    ]
)


@st.composite
def objects(draw: st.DrawFn) -> str:
    """A schema of properties, some of which the service would refuse by their names."""
    properties = draw(st.lists(st.tuples(names, property_schemas), max_size=5, unique_by=lambda each: each[0]))
    required = draw(st.permutations([name for name, _ in properties]))[: draw(st.integers(0, 5))]
    more = [("required", json.dumps(required))] if required else []
    closed = [("additionalProperties", "false")] if draw(st.booleans()) else []
    parts = [("type", '"object"'), ("properties", json_objects(properties)), *more, *closed]
    return json_objects(draw(st.permutations(parts)))


ROOT_UNIONS = [
    '{"type":"object","properties":{"a":{"type":"string"},"$b":{}},"anyOf":[{"required":["a"]},{"required":["$b"]}]}',
    '{"oneOf":[{"type":"object","properties":{"a":{"const":1}}},{"type":"object","properties":{"b":{"const":2}}}]}',
    '{"type":"object","allOf":[{"properties":{"a":{"type":"string"}}},{"required":["a"]}]}',
]
schemas = objects() | st.sampled_from(ROOT_UNIONS)
TOOL_NAMES = ["get_weather", "Read", "Bash", "get weather", "ünï", "n" * 100, "a.b/c", "StructuredOutput", "__proto__"]


@st.composite
def toolboxes(draw: st.DrawFn) -> tuple[Tool, ...]:
    """The tools on offer."""
    offered = draw(st.lists(st.sampled_from(TOOL_NAMES), max_size=4, unique=True))
    return tuple(Tool(name, f"Tool {at}.\nOf ünï.", draw(schemas)) for at, name in enumerate(offered))


# --- Conversations -----------------------------------------------------------------------------------------------------

user_contents = words | st.lists(words.map(Words) | pictures | files, max_size=4).map(tuple)
result_contents = st.none() | words | st.lists(words.map(Words) | pictures, max_size=3).map(tuple)
# Many local clients number the calls of each turn from 0.
call_ids = st.sampled_from(["call_0", "call_1", "call_2", "toolu_1", "call:été/1 | {x}", "x" * 200])


@st.composite
def rounds(draw: st.DrawFn) -> list[Step]:
    """Calls among words, their results in any order and form, and users' words before or behind them."""
    ids = draw(st.lists(call_ids, min_size=1, max_size=3, unique=True))
    calls = [Call(call, draw(st.sampled_from(TOOL_NAMES)), draw(arguments)) for call in ids]
    said: list[Words | Call] = [*calls]
    for _ in range(draw(st.integers(0, 2))):
        said.insert(draw(st.integers(0, len(said))), Words(draw(words)))
    results: list[Step] = [
        Result(call, draw(result_contents), draw(st.booleans())) for call in draw(st.permutations(calls))
    ]
    between = draw(st.just([]) | user_contents.map(lambda said: [User(said)]) | instructions)
    return [Assistant(tuple(said)), *(between + results if draw(st.booleans()) else results + between)]


instructions = visible.map(lambda said: [Instruction(said)])
plain = st.one_of(
    user_contents.map(lambda said: [User(said)]),
    st.lists(words.map(Words), max_size=3).map(lambda said: [Assistant(tuple(said))]),
    instructions,
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Whatever was said so far, and what is on offer now."""
    system = draw(st.lists(visible, max_size=2))
    middle = draw(st.lists(plain | rounds(), max_size=6))
    steps = [User(draw(visible)), *(step for part in middle for step in part), User(draw(visible))]
    return Conversation(tuple(system), tuple(steps), draw(toolboxes()))
