"""Tools: what the client offers is what the model is offered, and what the model calls is what the client gets."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.calls import (
    CITY,
    build_assistant_message,
    build_call,
    build_tool,
    build_tool_result,
    collect_calls,
    get_choice,
    list_calls,
)
from tests.support.chat import (
    Json,
    collect_chunks,
    join_text,
    list_finish_reasons,
    open_stream,
    parse_error,
    parse_text,
    send_chat,
)
from tests.support.scripted.upstream import AnswerReply, GatedReply, ReceivedRequest, Reply, Upstream
from tests.support.stack import Stack

type Piece = tuple[str, str]

WEATHER = build_tool("get_weather", description="The weather of a city.")
TIME = build_tool("get_time", {"type": "object", "properties": {"zone": {"type": "string"}}})
PARIS = ("toolu_1", "get_weather", ['{"city": "Paris"}'])


def names_offered(received: ReceivedRequest) -> list[str]:
    """The names of the tools in a request to the service."""
    return [tool["name"] for tool in received.body.get("tools", [])]


def forced(name: str) -> Json:
    return {"type": "function", "function": {"name": name}}


# --- On offer ---------------------------------------------------------------------------------------------------------

SCHEMAS: dict[str, Json] = {
    "enum and const": {
        "type": "object",
        "properties": {
            "unit": {"type": "string", "enum": ["°C", "°F", ""]},
            "kind": {"const": 1.5},
            "n": {"enum": [1, None]},
        },
        "required": ["unit"],
    },
    "unions": {
        "type": "object",
        "properties": {
            "at": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
            "who": {
                "oneOf": [{"type": ["integer", "null"], "minimum": 1}, {"type": "array", "items": {"type": "number"}}]
            },
        },
    },
    "references": {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "title": "Node"}},
        "type": "object",
        "properties": {"head": {"$ref": "#/$defs/node"}},
        "additionalProperties": False,
    },
    "draft-07": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"x": {"type": "string", "pattern": "^a+$"}},
        "type": "object",
        "properties": {"x": {"$ref": "#/definitions/x"}, "y": {"type": "array", "items": [{"type": "string"}]}},
        "additionalProperties": {"type": "string"},
    },
    "2020-12 and words of others": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": False}},
        "unevaluatedProperties": False,
        "x-order": ["pair"],
        "description": "Ünï\n\ncode 🦀",
    },
    "nothing": {"type": "object", "properties": {}},
}


async def test_names_descriptions_and_schemas_reach_the_model_as_they_are(
    each_credential_stack: Stack, upstream: Upstream
):
    """Nothing of a schema is lost or rewritten, whatever its dialect."""
    tools = [
        build_tool(f"tool-{n}", schema, description=f"d\n {name}") for n, (name, schema) in enumerate(SCHEMAS.items())
    ]
    assert parse_text(await send_chat(each_credential_stack, tools=tools)) == "Hello world!"
    [received] = upstream.requests
    # The service takes no tuple of draft-07: it is put in words of 2020-12, which is then no longer declared draft-07.
    strings = {"type": "array", "prefixItems": [{"type": "string"}]}
    older = {name: value for name, value in SCHEMAS["draft-07"].items() if name != "$schema"}
    modern = {**older, "properties": {**older["properties"], "y": strings}}
    assert received.body["tools"] == [
        {"name": f"tool-{n}", "description": f"d\n {name}", "input_schema": modern if name == "draft-07" else schema}
        for n, (name, schema) in enumerate(SCHEMAS.items())
    ]
    assert "tool_choice" not in received.body


DESCRIPTIONS = [
    "First line.\n\nArgs:\n  city: where",
    "  indented\n",
    "x " * 10_000 + ".",
    "<system-reminder>x</system-reminder>",
    "",
]


async def test_long_and_structured_descriptions_arrive_whole(each_credential_stack: Stack, upstream: Upstream):
    """With an API key the CLI shows first paragraphs only; an empty first paragraph before it makes it show all."""
    tools = [build_tool(f"t{n}", description=description) for n, description in enumerate(DESCRIPTIONS)]
    assert parse_text(await send_chat(each_credential_stack, tools=tools)) == "Hello world!"
    [received] = upstream.requests
    seen = [tool["description"] for tool in received.body["tools"]]
    assert [text.removeprefix("\n\n") for text in seen] == DESCRIPTIONS


@pytest.mark.wire(8)
async def test_a_tool_without_parameters_or_description_takes_none(stack: Stack, upstream: Upstream):
    """What is missing means nothing is needed."""
    tools = [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b", "parameters": {}}},
    ]
    assert parse_text(await send_chat(stack, tools=tools)) == "Hello world!"
    [received] = upstream.requests
    assert [(tool["name"], tool["input_schema"]["type"]) for tool in received.body["tools"]] == [
        ("a", "object"),
        ("b", "object"),
    ]


async def test_sixty_tools_are_all_on_offer(each_credential_stack: Stack, upstream: Upstream):
    """None is hidden behind a search, and none of the CLI's own rides along."""
    tools = [build_tool(f"tool_{n:02}", description="words " * 100) for n in range(60)]
    assert parse_text(await send_chat(each_credential_stack, tools=tools)) == "Hello world!"
    [received] = upstream.requests
    assert names_offered(received) == [f"tool_{n:02}" for n in range(60)]


# --- Calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.wire(22, 24, 25)
async def test_several_calls_come_back_with_the_models_own_ids_and_bytes(stack: Stack, upstream: Upstream):
    """Arguments are the model's own text, not another writing of it; a call without arguments has an empty object."""
    calls = [PARIS, ("toolu_2", "get_time", ['{"zone" :', ' "é\\u00e9", "n": 1.0}']), ("toolu_3", "get_weather", [])]
    upstream.script(AnswerReply(["Let me ", "see."], tools=calls))
    response = await send_chat(stack, tools=[WEATHER, TIME])
    assert list_calls(response) == [
        ("toolu_1", "get_weather", '{"city": "Paris"}'),
        ("toolu_2", "get_time", '{"zone" : "é\\u00e9", "n": 1.0}'),
        ("toolu_3", "get_weather", "{}"),
    ]
    choice = get_choice(response)
    assert choice["message"]["content"] == "Let me see."
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.wire(22)
async def test_a_call_without_words_has_no_content(stack: Stack, upstream: Upstream):
    """`content` is null beside calls, and `tool_calls` is absent beside words."""
    upstream.script(AnswerReply(tools=[PARIS]), AnswerReply("Sunny."))
    message = get_choice(await send_chat(stack, tools=[WEATHER]))["message"]
    assert message["content"] is None
    assert message["refusal"] is None
    message = get_choice(await send_chat(stack, tools=[WEATHER]))["message"]
    assert message["content"] == "Sunny."
    assert "tool_calls" not in message


@pytest.mark.wire(33, 34, 24)
async def test_streamed_calls_follow_the_words_before_them(stack: Stack, upstream: Upstream):
    """Words stream first; calls are counted from 0 whatever came before; one finish reason ends it."""
    calls = [("toolu_1", "get_weather", ['{"ci', 'ty": "Pa', 'ris"}']), ("toolu_2", "get_time", [])]
    upstream.script(AnswerReply(["Let me ", "see."], thinking="hmm", tools=calls))
    chunks = await collect_chunks(stack, tools=[WEATHER, TIME], include_reasoning=True)
    assert join_text(chunks) == "Let me see."
    assert collect_calls(chunks) == [("toolu_1", "get_weather", '{"city": "Paris"}'), ("toolu_2", "get_time", "{}")]
    assert list_finish_reasons(chunks) == ["tool_calls"]
    kinds = [next(iter(choice["delta"]), "") for chunk in chunks for choice in chunk["choices"]]
    assert kinds == ["role", "reasoning_content", *["content"] * 2, *["tool_calls"] * 6, ""]


@pytest.mark.wire(33, 54)
async def test_arguments_stream_while_the_model_writes_them(stack: Stack, upstream: Upstream):
    """Each piece is out before the next is written."""
    pieces = ['{"city": ', '"Par', 'is"}']
    upstream.script(GatedReply(tools=[("toolu_1", "get_weather", pieces)]))
    async with open_stream(stack, tools=[WEATHER]) as stream:
        first_chunks = [await stream.read_chunk(), await stream.read_chunk()]
        assert first_chunks[1]["choices"][0]["delta"]["tool_calls"][0]["id"] == "toolu_1"
        for piece in pieces:
            await upstream.release()
            chunk = await stream.read_chunk()
            assert chunk["choices"][0]["delta"]["tool_calls"][0]["function"] == {"arguments": piece}
        assert list_finish_reasons(await stream.read_rest()) == ["tool_calls"]


async def test_after_calls_nothing_is_left_running(each_credential_stack: Stack, upstream: Upstream):
    """The CLI asks for leave while the model still writes, and is not answered: the service is asked once, and it ends."""
    upstream.script(GatedReply(tools=[PARIS, ("toolu_2", "get_time", ["{}"])]))
    async with open_stream(each_credential_stack, tools=[WEATHER, TIME]) as stream:
        for _ in range(2):
            await upstream.release()
        assert len(collect_calls(await stream.read_rest())) == 2
    await each_credential_stack.wait_until_idle()
    assert len(upstream.requests) == 1


# --- Choice -----------------------------------------------------------------------------------------------------------

CHOICES: list[Any] = [
    ("none", {"type": "none"}),
    ("required", {"type": "any"}),
    (forced("get_time"), {"type": "tool", "name": "get_time"}),
]


@pytest.mark.wire(10)
@pytest.mark.parametrize(("choice", "sent"), CHOICES, ids=json.dumps)
async def test_a_tool_choice_is_the_services_own_on_models_that_take_it(
    stack: Stack, upstream: Upstream, choice: Any, sent: Any
):
    """It is enforced where the model runs; every tool stays on offer."""
    upstream.script(
        AnswerReply("no") if choice in ("none", "auto") else AnswerReply(tools=[("toolu_1", "get_time", [])])
    )
    get_choice(await send_chat(stack, model="haiku", tools=[WEATHER, TIME], tool_choice=choice))
    [received] = upstream.requests
    assert received.body.get("tool_choice") == sent
    assert names_offered(received) == ["get_time", "get_weather"]


@pytest.mark.wire(10)
@pytest.mark.parametrize(
    ("model", "choice"), [("sonnet", "required"), ("fable", forced("get_weather"))], ids=["required", "named"]
)
async def test_a_forced_call_comes_from_models_that_refuse_to_be_forced(
    each_credential_stack: Stack, upstream: Upstream, model: str, choice: Any
):
    """The model is told to call, by a message behind the conversation; its words before it does are not given out."""
    upstream.script(AnswerReply("I would rather talk.", output=5), AnswerReply("Well:", tools=[PARIS], output=7))
    response = await send_chat(each_credential_stack, model=model, tools=[WEATHER, TIME], tool_choice=choice)
    assert list_calls(response) == [("toolu_1", "get_weather", '{"city": "Paris"}')]
    assert get_choice(response)["message"]["content"] == "Well:"
    assert response.json()["usage"]["completion_tokens"] == 12
    first, second = upstream.requests
    assert [first.body.get("tool_choice"), second.body.get("tool_choice")] == [None, None]
    offered = ["get_time", "get_weather"] if choice == "required" else ["get_weather"]
    assert names_offered(first) == names_offered(second) == offered
    assert first.conversation == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert first.body["messages"][-1]["role"] == "system"
    assert "call" in first.body["messages"][-1]["content"][0]["text"]
    assert second.body["messages"][1] == first.body["messages"][1]
    assert second.conversation[1]["content"][-1] == {"type": "text", "text": "I would rather talk."}


async def test_a_forced_call_streams_its_arguments(stack: Stack, upstream: Upstream):
    """As soon as the model calls; strictly too."""
    upstream.script(AnswerReply("Hm.", tools=[("toolu_1", "get_weather", ['{"ci', 'ty": "Paris"}'])]))
    chunks = await collect_chunks(stack, tools=[WEATHER], tool_choice=forced("get_weather"))
    assert collect_calls(chunks) == [("toolu_1", "get_weather", '{"city": "Paris"}')]
    assert list_finish_reasons(chunks) == ["tool_calls"]


@pytest.mark.wire(10)
@pytest.mark.parametrize(("mode", "nested"), [("auto", True), ("required", False)])
async def test_only_allowed_tools_are_on_offer(
    stack: Stack,
    upstream: Upstream,
    mode: str,
    nested: bool,  # noqa: FBT001
):
    """OpenAI's `allowed_tools`, in the form of chat completions and in that of Responses."""
    upstream.script(AnswerReply(tools=[PARIS]))
    allowed: Json = {"mode": mode, "tools": [forced("get_weather")]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed} if nested else {"type": "allowed_tools", **allowed}
    assert list_calls(await send_chat(stack, tools=[WEATHER, TIME], tool_choice=choice))
    [received] = upstream.requests
    assert names_offered(received) == ["get_weather"]
    assert received.body.get("tool_choice") is None


@pytest.mark.wire(10)
@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("required", AnswerReply("I would rather talk.")),
        (forced("get_weather"), AnswerReply("I would rather talk.")),
        (forced("get_time"), AnswerReply("Well:", tools=[PARIS])),
        ("none", AnswerReply("Well:", tools=[PARIS])),
    ],
    ids=["no call", "no named call", "another call", "a forbidden call"],
)
async def test_a_choice_that_the_model_breaks_is_an_error(
    stack: Stack, upstream: Upstream, choice: Any, says: AnswerReply
):
    """A client that relies on it is not handed something else; trying again may help."""
    upstream.script(says)
    response = await send_chat(stack, tools=[WEATHER, TIME], tool_choice=choice)
    assert response.status_code == 502
    assert parse_error(response)["code"] == "output_validation_failed"
    assert response.headers["x-should-retry"] == "true"
    if choice == "none":
        *_, last = await collect_chunks(stack, tools=[WEATHER, TIME], tool_choice=choice)
        assert last["error"]["code"] == "output_validation_failed"


@pytest.mark.wire(11)
async def test_without_parallel_calls_there_is_one(stack: Stack, upstream: Upstream):
    """The service is told so; should the model make a second call all the same, it is left out."""
    upstream.script(AnswerReply(tools=[PARIS, ("toolu_2", "get_time", [])]))
    assert [
        call for call, *_ in list_calls(await send_chat(stack, tools=[WEATHER, TIME], parallel_tool_calls=False))
    ] == ["toolu_1"]
    chunks = await collect_chunks(stack, tools=[WEATHER, TIME], parallel_tool_calls=False, tool_choice="required")
    assert [call for call, *_ in collect_calls(chunks)] == ["toolu_1"]
    assert [received.body["tool_choice"] for received in upstream.requests] == [
        {"type": "auto", "disable_parallel_tool_use": True},
        {"type": "auto", "disable_parallel_tool_use": True},
    ]


# --- Names ------------------------------------------------------------------------------------------------------------

STEP_ASIDE = ["Agent", "Artifact", "ToolSearch"]
NAMES = [
    *("Read", "Bash", "Edit", "Write", "Task", "TodoWrite", "Skill", "StructuredOutput", "DeferredToolPlaceholder"),
    *("mcp__x__y", "mcp__client__Read", "get weather", "a.b/c:d", "grüße_日本_🦀", "n" * 64, "n" * 90, "CASE", "case"),
    *("__proto__", "constructor", *STEP_ASIDE),
]


@pytest.mark.wire(9, 56)
async def test_any_name_comes_back_exactly_as_it_was_given(each_credential_stack: Stack, upstream: Upstream):
    """Names of the CLI's own, of other servers', and such as the service refuses.

    The model sees them as they are, but for those that the service refuses or that would make the CLI put words of its
    own into the conversation; the client gets its own back in any case.
    """

    def calls_all(received: ReceivedRequest) -> Reply:
        return AnswerReply(tools=[(f"toolu_{n}", name, []) for n, name in enumerate(names_offered(received))])

    upstream.script(calls_all)
    response = await send_chat(each_credential_stack, tools=[build_tool(name, description=name) for name in NAMES])
    [received] = upstream.requests
    seen = {tool["description"]: tool["name"] for tool in received.body["tools"]}
    assert list_calls(response) == [
        (f"toolu_{n}", tool["description"], "{}") for n, tool in enumerate(received.body["tools"])
    ]
    assert set(seen) == set(NAMES)
    for given, wire in seen.items():
        fits = given.isascii() and given.replace("_", "").isalnum() and len(given) <= 64
        assert (wire == given) is (fits and given not in STEP_ASIDE)
        assert wire.isascii()
        assert wire.replace("_", "").isalnum()
        assert len(wire) <= 64
    assert received.system_texts == []
    assert received.conversation == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


@pytest.mark.wire(9)
async def test_a_name_travels_alike_in_the_history_the_offer_and_the_choice(stack: Stack, upstream: Upstream):
    """The model can tell that what it called before is what is on offer now."""
    odd = "weather of (Zürich)"
    upstream.script(lambda received: AnswerReply(tools=[("toolu_2", received.body["tool_choice"]["name"], ["{}"])]))
    messages = [
        {"role": "user", "content": "hi"},
        build_assistant_message(build_call("toolu_1", odd)),
        build_tool_result("toolu_1"),
    ]
    response = await send_chat(stack, messages, model="haiku", tools=[build_tool(odd)], tool_choice=forced(odd))
    assert list_calls(response) == [("toolu_2", odd, "{}")]
    [received] = upstream.requests
    assert received.conversation[1]["content"][0]["name"] == received.body["tool_choice"]["name"]
    assert names_offered(received) == [received.body["tool_choice"]["name"]]


@pytest.mark.wire(9)
async def test_a_tool_called_like_the_clis_own_answer_tool_works_beside_a_schema(stack: Stack, upstream: Upstream):
    """The CLI answers a schema by a tool of its own; the client's tool of that name steps aside on the way, not for the client."""
    upstream.script(
        lambda received: AnswerReply(
            tools=[("toolu_1", next(n for n in names_offered(received) if n != "StructuredOutput"), [])]
        )
    )
    response = await send_chat(stack, tools=[build_tool("StructuredOutput")], response_format={"type": "json_object"})
    assert list_calls(response) == [("toolu_1", "StructuredOutput", "{}")]


# --- Calls that the client did not offer -------------------------------------------------------------------------------


@pytest.mark.wire(9, 55, 56)
@pytest.mark.parametrize(("tools", "name"), [([WEATHER], "Bash"), ([], "Skill")])
async def test_a_call_of_what_is_not_on_offer_is_the_clients_to_answer(
    each_credential_stack: Stack, upstream: Upstream, tools: Sequence[Json], name: str
):
    """As with both vendors: the CLI has no tool of that name either, and the service is asked once."""
    upstream.script(AnswerReply("One.", tools=[("toolu_1", name, ['{"command": "id"}']), ("toolu_2", "nope", [])]))
    response = await send_chat(each_credential_stack, tools=tools)
    assert get_choice(response)["message"]["content"] == "One."
    assert list_calls(response) == [("toolu_1", name, '{"command": "id"}'), ("toolu_2", "nope", "{}")]
    assert get_choice(response)["finish_reason"] == "tool_calls"
    assert len(upstream.requests) == 1
    if tools:
        chunks = await collect_chunks(each_credential_stack, tools=tools)
        assert collect_calls(chunks) == [("toolu_1", name, '{"command": "id"}'), ("toolu_2", "nope", "{}")]


# --- Strict tools ------------------------------------------------------------------------------------------------------

STRICT = build_tool("get_weather", CITY | {"additionalProperties": False}, strict=True)


async def test_valid_arguments_of_a_strict_tool_come_in_one_piece(stack: Stack, upstream: Upstream):
    """They are given out once it is known that they keep their promise."""
    upstream.script(AnswerReply("See:", tools=[("toolu_1", "get_weather", ['{"ci', 'ty": "Paris"}'])]))
    chunks = await collect_chunks(stack, tools=[STRICT])
    assert collect_calls(chunks) == [("toolu_1", "get_weather", '{"city": "Paris"}')]
    assert list_finish_reasons(chunks) == ["tool_calls"]
    assert list_calls(await send_chat(stack, tools=[STRICT])) == [("toolu_1", "get_weather", '{"city": "Paris"}')]


async def test_invalid_arguments_of_a_strict_tool_are_an_error(stack: Stack, upstream: Upstream):
    """The client never receives them; the error names the tool and allows a retry."""
    upstream.script(AnswerReply("See:", tools=[("toolu_1", "get_weather", ['{"city": 7}'])]))
    response = await send_chat(stack, tools=[STRICT])
    assert response.status_code == 502
    assert response.headers["x-should-retry"] == "true"
    error = parse_error(response)
    assert error["code"] == "output_validation_failed"
    assert "get_weather" in error["message"]
    *before, last = await collect_chunks(stack, tools=[STRICT])
    assert last["error"]["code"] == "output_validation_failed"
    assert not any(arguments for _, _, arguments in collect_calls(before))
    assert list_finish_reasons(before) == []


async def test_invalid_arguments_of_any_other_tool_are_the_clients_to_judge(stack: Stack, upstream: Upstream):
    """As OpenAI has it without `strict`."""
    upstream.script(AnswerReply(tools=[("toolu_1", "get_weather", ['{"town": 7}'])]))
    assert list_calls(await send_chat(stack, tools=[WEATHER])) == [("toolu_1", "get_weather", '{"town": 7}')]


# --- Legacy functions --------------------------------------------------------------------------------------------------


@pytest.mark.wire(12)
async def test_legacy_functions_are_answered_in_kind(stack: Stack, upstream: Upstream):
    """`functions` in, `function_call` out, one call at most."""
    upstream.script(
        AnswerReply(
            "See:", tools=[("toolu_1", "get_weather", ['{"city"', ': "Paris"}']), ("toolu_2", "get_weather", [])]
        )
    )
    response = await send_chat(stack, functions=[WEATHER["function"]], function_call="auto")
    choice = get_choice(response)
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert "tool_calls" not in choice["message"]
    chunks = await collect_chunks(stack, functions=[WEATHER["function"]])
    pieces = [c["choices"][0]["delta"]["function_call"] for c in chunks if "function_call" in c["choices"][0]["delta"]]
    assert pieces[0] == {"name": "get_weather", "arguments": ""}
    assert "".join(piece["arguments"] for piece in pieces) == '{"city": "Paris"}'
    assert [piece for piece in pieces[1:] if "name" in piece] == []
    assert list_finish_reasons(chunks) == ["function_call"]


@pytest.mark.wire(12)
async def test_a_named_legacy_function_is_forced(stack: Stack, upstream: Upstream):
    """And one that is not there is refused."""
    upstream.script(AnswerReply(tools=[PARIS]))
    get_choice(
        await send_chat(stack, model="haiku", functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    )
    [received] = upstream.requests
    assert received.body["tool_choice"] == {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    response = await send_chat(stack, functions=[WEATHER["function"]], function_call={"name": "nope"})
    assert parse_error(response)["param"] == "function_call"


@pytest.mark.wire(12)
async def test_a_legacy_history_reaches_the_model_as_calls_and_results(stack: Stack, upstream: Upstream):
    """Legacy calls have no ids: each result belongs to the call before it."""
    messages = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
        },
        {"role": "function", "name": "get_weather", "content": "hot"},
        {"role": "assistant", "content": "Hot.", "function_call": {"name": "get_weather", "arguments": "{}"}},
        {"role": "function", "name": "get_weather", "content": "cold"},
    ]
    assert parse_text(await send_chat(stack, messages, functions=[WEATHER["function"]])) == "Hello world!"
    [received] = upstream.requests
    _, first, hot, second, cold = received.conversation
    assert first["content"][0]["input"] == {"city": "Rome"}
    assert hot["content"][0] == {
        "type": "tool_result",
        "tool_use_id": first["content"][0]["id"],
        "content": [{"type": "text", "text": "hot"}],
    }
    assert second["content"][1]["id"] == cold["content"][0]["tool_use_id"] != first["content"][0]["id"]


HI = {"role": "user", "content": "hi"}
ASKED = build_assistant_message(build_call("toolu_1", "get_weather"), build_call("toolu_2", "get_weather"))


ROUNDS = 4

# --- Histories ---------------------------------------------------------------------------------------------------------


@pytest.mark.wire(68)
async def test_a_history_of_calls_is_understood_while_nothing_is_on_offer(
    each_credential_stack: Stack, upstream: Upstream
):
    """As after the handoff of an agent."""
    messages = [
        HI,
        build_assistant_message(build_call("toolu_1", "get_weather", '{"a": 1}')),
        build_tool_result("toolu_1", "r"),
        {"role": "user", "content": "so?"},
    ]
    assert parse_text(await send_chat(each_credential_stack, messages)) == "Hello world!"
    [received] = upstream.requests
    assert not received.body.get("tools")
    assert received.conversation[1]["content"] == [
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"a": 1}}
    ]


async def test_a_word_of_the_users_after_results_is_in_the_same_turn(each_credential_stack: Stack, upstream: Upstream):
    """It follows the results, and is not taken for one."""
    messages = [
        HI,
        ASKED,
        build_tool_result("toolu_2", "b"),
        build_tool_result("toolu_1", "a"),
        {"role": "user", "content": "And in °F?"},
    ]
    assert parse_text(await send_chat(each_credential_stack, messages, tools=[WEATHER])) == "Hello world!"
    [received] = upstream.requests
    *_, last = received.conversation
    assert [block.get("tool_use_id") or block["text"] for block in last["content"]] == [
        "toolu_2",
        "toolu_1",
        "And in °F?",
    ]


async def test_rounds_of_calls_and_results_build_one_conversation(stack: Stack, upstream: Upstream):
    """Each request contains the whole history, and the model sees each call once, with its result."""

    def next_call(received: ReceivedRequest) -> Reply:
        done = len(received.conversation) // 2
        return (
            AnswerReply(f"Step {done}.", tools=[(f"toolu_{done}", "get_weather", [f'{{"city": "c{done}"}}'])])
            if done < ROUNDS
            else AnswerReply("Done.")
        )

    upstream.script(next_call)
    messages: list[Json] = [HI]
    for _ in range(ROUNDS + 1):
        message = get_choice(await send_chat(stack, messages, tools=[WEATHER]))["message"]
        messages.append(message)
        messages += [build_tool_result(call["id"], f"result of {call['id']}") for call in message.get("tool_calls", ())]
    assert messages[-1]["content"] == "Done."
    seen = upstream.requests[-1].conversation
    assert [block["type"] for turn in seen for block in turn["content"]] == [
        "text",
        *["text", "tool_use", "tool_result"] * ROUNDS,
    ]
    for n in range(ROUNDS):
        assert seen[2 * n + 1]["content"][1]["input"] == {"city": f"c{n}"}
        assert seen[2 * n + 2]["content"][0]["tool_use_id"] == f"toolu_{n}"


# --- Custom tools ------------------------------------------------------------------------------------------------------

SQL: Json = {"type": "custom", "custom": {"name": "run_sql", "description": "Runs it."}}


@pytest.mark.wire(8)
async def test_a_custom_tool_takes_free_text_both_ways(stack: Stack, upstream: Upstream):
    """The model writes it inside an argument; the client gets the bare text, and sends it back so."""
    text = 'SELECT "é"\n-- {"not": "json"}'
    upstream.script(AnswerReply(tools=[("toolu_0", "run_sql", [json.dumps({"input": text})]), PARIS]))
    message = get_choice(await send_chat(stack, tools=[SQL, WEATHER]))["message"]
    assert message["tool_calls"][0] == {"id": "toolu_0", "type": "custom", "custom": {"name": "run_sql", "input": text}}
    chunks = await collect_chunks(stack, tools=[SQL, WEATHER])
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert calls[0] == {"index": 0, "id": "toolu_0", "type": "custom", "custom": {"name": "run_sql", "input": text}}
    assert calls[1]["index"] == 1
    upstream.requests.clear()
    upstream.script(AnswerReply("Two rows."))
    history = [HI, {**message, "tool_calls": message["tool_calls"][:1]}, build_tool_result("toolu_0", "2")]
    assert parse_text(await send_chat(stack, history, tools=[SQL])) == "Two rows."
    [received] = upstream.requests
    assert received.conversation[1]["content"][0]["input"] == {"input": text}
