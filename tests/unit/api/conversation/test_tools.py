"""Tools and their use, in whichever form a client writes them."""

import json
from typing import Any

import msgspec
import pytest

from api.conversation.tools import CUSTOM_TOOL_SCHEMA, EMPTY_SCHEMA, ToolSet, build_tool_set
from api.core.problems import Problem
from api.dialects.openai_chat.decode import build_tool_params
from api.dialects.openai_chat.models import ChatCompletionRequest
from shared.turn import Tool

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ENCODED = json.dumps(SCHEMA)
WEATHER = Tool("get_weather", "The weather.", ENCODED)


def function(name: str = "get_weather", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def offer(**fields: Any) -> ToolSet:
    """What a request of these fields offers."""
    return build_tool_set(build_tool_params(msgspec.json.decode(json.dumps(fields), type=ChatCompletionRequest)))


def problem(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        offer(**fields)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.wire(7)
@pytest.mark.parametrize("fields", [{}, {"tools": []}, {"tools": None}, {"functions": []}, {"functions": None}])
@pytest.mark.parametrize("choice", [{}, {"tool_choice": None}, {"tool_choice": "auto"}, {"tool_choice": "none"}])
def test_no_tools_in_any_form_are_no_tools(fields: dict[str, Any], choice: dict[str, Any]):
    """Open WebUI sends an empty list."""
    made = offer(**fields, **choice)
    assert made.tools == ()
    assert not made.legacy


@pytest.mark.wire(8)
@pytest.mark.parametrize(
    "tool",
    [
        function(description="The weather.", parameters=SCHEMA),
        {"function": {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA}},
        {
            "type": "function",
            "name": "get_weather",
            "description": "The weather.",
            "parameters": SCHEMA,
            "strict": None,
        },
        {"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA},
        {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA},
    ],
    ids=["nested", "nested without type", "flat", "anthropic", "bare"],
)
def test_a_tool_is_the_same_in_every_vendors_form(tool: dict[str, Any]):
    """Name, description and schema as they were sent."""
    assert offer(tools=[tool]).tools == (WEATHER,)


@pytest.mark.wire(8)
@pytest.mark.parametrize("fields", [{}, {"parameters": None}])
def test_a_tool_without_parameters_takes_an_empty_object(fields: dict[str, Any]):
    """And an empty schema stays what it is: it takes any."""
    assert offer(tools=[function(**fields)]).tools == (Tool("get_weather", "", EMPTY_SCHEMA),)
    assert offer(tools=[function(parameters={})]).tools == (Tool("get_weather", "", "{}"),)


@pytest.mark.wire(8)
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom", "custom": {"name": "ApplyPatch", "description": "Edit.", "format": {"type": "text"}}},
        {"type": "custom", "name": "ApplyPatch", "description": "Edit.", "format": {"type": "grammar"}},
    ],
    ids=["nested", "flat"],
)
def test_a_custom_tool_takes_one_text(tool: dict[str, Any]):
    """Nested as OpenAI has it in chats, flat as Cursor sends it."""
    made = offer(tools=[tool, function()])
    assert made.tools[0] == Tool("ApplyPatch", "Edit.", CUSTOM_TOOL_SCHEMA)
    assert made.custom == {"ApplyPatch"}


@pytest.mark.wire(9)
@pytest.mark.parametrize("name", ["Read", "Bash", "read", "a.b/c", "mcp__x__y", "天气", "a" * 200, "get weather!"])
def test_names_are_kept_to_the_character(name: str):
    """What the service can't take is the executor's to map, there and back."""
    assert offer(tools=[function(name)]).tools[0].name == name


@pytest.mark.wire(10)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ("auto", None)),
        ("none", ("none", None)),
        ("required", ("any", None)),
        ("any", ("any", None)),
        ({"type": "auto"}, ("auto", None)),
        ({"type": "none"}, ("none", None)),
        ({"type": "any"}, ("any", None)),
        ({"type": "required"}, ("any", None)),
        ({"type": "function", "function": {"name": "b"}}, ("tool", "b")),
        ({"type": "function", "name": "b"}, ("tool", "b")),
        ({"type": "tool", "name": "b"}, ("tool", "b")),
        ({"type": "custom", "custom": {"name": "b"}}, ("tool", "b")),
    ],
)
def test_every_form_of_a_choice_is_understood(choice: Any, expected: tuple[str, str | None]):
    """The tools stay, all of them."""
    made = offer(tools=[function("a"), function("b")], tool_choice=choice)
    assert (made.choice, made.forced_tool) == expected
    assert [tool.name for tool in made.tools] == ["a", "b"]


@pytest.mark.wire(10)
@pytest.mark.parametrize("mode", [{}, {"mode": "auto"}, {"mode": "required"}])
@pytest.mark.parametrize("nested", [True, False])
def test_of_allowed_tools_only_those_are_offered(mode: dict[str, str], nested: bool):  # noqa: FBT001
    """What the model is not offered it can't call; the order is that of the offer."""
    allowed = {**mode, "tools": [function("c"), {"type": "function", "name": "a"}]}
    choice = {"type": "allowed_tools", **({"allowed_tools": allowed} if nested else allowed)}
    made = offer(tools=[function(name) for name in "abc"], tool_choice=choice)
    assert [tool.name for tool in made.tools] == ["a", "c"]
    assert made.choice == ("any" if mode.get("mode") == "required" else "auto")


@pytest.mark.wire(11)
def test_parallel_calls_are_allowed_unless_they_are_forbidden():
    """Null says nothing."""
    assert [offer(tools=[function()], parallel_tool_calls=value).parallel for value in (True, None, False)] == [
        *(True, True),
        False,
    ]


@pytest.mark.wire(12)
@pytest.mark.parametrize(
    ("call", "expected"),
    [(None, ("auto", None)), ("auto", ("auto", None)), ("none", ("none", None)), ({"name": "f"}, ("tool", "f"))],
)
def test_legacy_functions_are_tools_one_at_a_time(call: Any, expected: tuple[str, str | None]):
    """`function_call` is their choice, and the answer takes their form."""
    made = offer(functions=[{"name": "f", "description": "d", "parameters": SCHEMA}], function_call=call)
    assert made.tools == (Tool("f", "d", ENCODED),)
    assert (made.choice, made.forced_tool, made.legacy, made.parallel) == (*expected, True, False)


@pytest.mark.wire(12)
def test_tools_win_over_functions():
    """Who sends both knows the newer form."""
    made = offer(tools=[function("new")], functions=[{"name": "old"}])
    assert ([tool.name for tool in made.tools], made.legacy) == (["new"], False)


def test_strict_tools_are_known_by_name_in_every_form():
    """Their arguments are held against their schema."""
    made = offer(
        tools=[
            function("a", strict=True, parameters=SCHEMA),
            {"type": "function", "name": "b", "strict": True, "parameters": SCHEMA},
            function("c", strict=False),
            function("d"),
        ]
    )
    assert made.strict == {"a", "b"}
    assert offer(functions=[{"name": "a", "strict": True}, {"name": "b"}]).strict == {"a"}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "name missing": ({"tools": [{"type": "function"}]}, "tools[0].name", "1 to 512"),
    "nested name empty": ({"tools": [function(""), function()]}, "tools[0].function.name", "1 to 512"),
    "name too long": ({"tools": [function("a" * 513)]}, "tools[0].function.name", "1 to 512"),
    "custom name missing": ({"tools": [{"type": "custom"}]}, "tools[0].name", "1 to 512"),
    "nested custom name empty": (
        {"tools": [{"type": "custom", "custom": {"name": ""}}]},
        "tools[0].custom.name",
        "1 to 512",
    ),
    "vendor's tool": ({"tools": [function(), {"type": "web_search"}]}, "tools[1].type", "`web_search`"),
    "same name twice": ({"tools": [function("a"), function("b"), function("a")]}, "tools", "`a`"),
    "same function twice": ({"functions": [{"name": "a"}, {"name": "a"}]}, "functions", "`a`"),
    "too many": ({"tools": [function(f"f{number}") for number in range(513)]}, "tools", "up to 512"),
    "schema no object": (
        {"tools": [function(parameters=[])]},
        "tools[0].function.parameters",
        "must be a JSON Schema",
    ),
    "schema invalid": (
        {"tools": [function(parameters={"type": "object", "properties": {"a": {"type": "strange"}}})]},
        "tools[0].function.parameters.properties.a.type",
        "not valid JSON Schema",
    ),
    "arguments no object": (
        {"tools": [function(parameters={"type": "array"})]},
        "tools[0].function.parameters",
        "must describe an object",
    ),
    "anthropic's schema invalid": (
        {"tools": [{"name": "a", "input_schema": {"type": 5}}]},
        "tools[0].input_schema.type",
        "not valid JSON Schema",
    ),
    "function's schema invalid": (
        {"functions": [{"name": "a", "parameters": {"required": "a"}}]},
        "functions[0].parameters.required",
        "not valid JSON Schema",
    ),
    "unknown choice": ({"tools": [function()], "tool_choice": "some"}, "tool_choice", "none, auto, required"),
    "choice of a number": ({"tools": [function()], "tool_choice": 5}, "tool_choice", "none, auto, required"),
    "unknown tool": (
        {"tools": [function()], "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
        "`x`",
    ),
    "tool without name": ({"tools": [function()], "tool_choice": {"type": "function"}}, "tool_choice", "offered"),
    "required of none": ({"tools": [], "tool_choice": "required"}, "tool_choice", "none is offered"),
    "named of none": (
        {"tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
        "not among those offered",
    ),
    "allowed unknown": (
        {"tools": [function("a")], "tool_choice": {"type": "allowed_tools", "tools": [function("b")]}},
        "tool_choice",
        "`b`",
    ),
    "allowed none": (
        {"tools": [function("a")], "tool_choice": {"type": "allowed_tools", "tools": []}},
        "tool_choice",
        "at least one tool",
    ),
    "allowed no list": (
        {"tools": [function("a")], "tool_choice": {"type": "allowed_tools"}},
        "tool_choice",
        "list of tools",
    ),
    "allowed in an unknown mode": (
        {"tools": [function("a")], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": [function("a")]}},
        "tool_choice",
        "auto or required",
    ),
    "unknown function": ({"functions": [{"name": "a"}], "function_call": {"name": "b"}}, "function_call", "`b`"),
    "unknown legacy choice": ({"functions": [{"name": "a"}], "function_call": "b"}, "function_call", "none, auto"),
}


@pytest.mark.wire(8, 10, 12)
@pytest.mark.parametrize(("fields", "param", "fix"), REFUSED.values(), ids=REFUSED)
def test_an_offer_that_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], param: str, fix: str):
    """Not with silence: the field, and what would be right."""
    refused = problem(**fields)
    assert refused.param == param
    assert fix in refused.message
