"""A chat completion request becomes a turn as it is, or a refusal that names the field and the fix."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.conversation.drafts import Draft, DraftResult
from api.conversation.fields import EFFORT_NAMES
from api.conversation.parameters import Policy, ShowReasoning
from api.core.problems import Problem
from api.dialects.openai_chat.decode import ChatTurnRequest, decode
from api.media.blocks import RemoteMedia
from shared.turn import Image, Text, ToolUse

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "done"}
FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}


def call(*, policy: Policy | None = None, **fields: Any) -> ChatTurnRequest:
    """A request of these fields, decoded; one that says nothing else says hi."""
    return decode(json.dumps({"messages": HI, **fields}).encode(), policy or Policy())


def said(*messages: dict[str, Any]) -> tuple[Draft, ...]:
    return call(messages=list(messages)).drafts


def problem(body: bytes, policy: Policy | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(body, policy or Policy())
    return caught.value


def user(*content: Any) -> Draft:
    return Draft("user", content, "messages[0]")


@pytest.mark.wire(1)
def test_fields_nobody_knows_are_accepted_at_every_level_and_mean_nothing():
    """OpenAI's service has it so, and clients send bookkeeping of their own."""
    extra: dict[str, Any] = {"opts": 1, "id": "x", "provider_specific_fields": {"a": [None]}}
    bookkeeping: dict[str, Any] = {
        **dict.fromkeys(["user", "service_tier", "prompt_cache_key", "safety_identifier"], "x"),
        "metadata": {"a": "b"},
        "store": True,
    }
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi", **extra}], **extra}]
    tools = [{**TOOL, **extra, "function": {**FUNCTION, **extra}}]
    full = call(messages=messages, tools=tools, stream=True, stream_options={"include_usage": True, **extra}, **extra)
    plain = call(tools=[TOOL], stream=True, stream_options={"include_usage": True})
    assert full == plain
    assert call(**bookkeeping) == call()


@pytest.mark.wire(1)
@given(st.dictionaries(st.text(min_size=8, max_size=12).map("x-{}".format), st.none() | st.integers() | st.text()))
def test_an_unknown_field_never_changes_what_is_understood(extra: dict[str, Any]):
    """Whatever it is called, and whatever it holds."""
    assert call(**extra) == call()


@pytest.mark.wire(2)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 5, "max_completion_tokens": None}, 5),
        ({"max_tokens": None}, None),
    ],
)
def test_the_newer_name_of_the_limit_wins_and_both_at_once_are_legal(fields: dict[str, Any], expected: int | None):
    """LiteLLM's clients send both."""
    assert call(**fields).max_tokens == expected


@pytest.mark.wire(3)
def test_every_system_and_developer_text_is_kept_in_order_where_it_stands():
    """Those before the conversation are the system prompt, later ones stay in it; parts stay apart there."""
    decoded = call(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
            {"role": "user", "content": "1"},
            {"role": "developer", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": "e"}]},
            {"role": "assistant", "content": "2"},
            {"role": "system", "content": ""},
            {"role": "user", "content": "3"},
            {"role": "system", "content": "f"},
        ]
    )
    assert decoded.system == ("a", "bc")
    assert decoded.drafts == (
        Draft("user", (Text("1"),), "messages[2]"),
        Draft("system", (Text("d"), Text("e")), "messages[3]"),
        Draft("assistant", (Text("2"),), "messages[4]"),
        Draft("system", (Text(""),), "messages[5]"),
        Draft("user", (Text("3"),), "messages[6]"),
        Draft("system", (Text("f"),), "messages[7]"),
    )


@pytest.mark.parametrize(
    ("messages", "system", "spoken"),
    [
        ([{"role": "system", "content": "Write a haiku."}], (), "Write a haiku."),
        ([{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], (), "ab"),
        ([{"role": "system", "content": "Be brief."}, {"role": "system", "content": "Hi"}], ("Be brief.",), "Hi"),
        ([{"role": "system", "content": "Hi"}, {"role": "system", "content": " "}], (" ",), "Hi"),
    ],
)
def test_where_only_system_texts_speak_the_last_is_the_users(
    messages: list[dict[str, Any]], system: tuple[str, ...], spoken: str
):
    """As OpenAI answers them; nothing is invented."""
    decoded = call(messages=messages)
    assert decoded.system == system
    assert [(draft.role, draft.content) for draft in decoded.drafts] == [("user", (Text(spoken),))]


def test_a_system_text_speaks_also_beside_messages_that_say_nothing():
    """Wherever it stands."""
    blank = {"role": "user", "content": " "}
    for messages in ([{"role": "system", "content": "Hi"}, blank], [blank, {"role": "system", "content": "Hi"}]):
        decoded = call(messages=messages)
        assert decoded.system == ()
        assert [draft.content for draft in decoded.drafts if draft.content != (Text(" "),)] == [(Text("Hi"),)]
        assert {draft.role for draft in decoded.drafts} == {"user"}


@pytest.mark.wire(4)
@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("hi", (Text("hi"),)),
        ([{"type": "text", "text": "hi"}], (Text("hi"),)),
        ([{"type": "input_text", "text": "hi"}], (Text("hi"),)),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], (Text("a"), Text("b"))),
        ([{"type": "text", "text": "hi"}, {"type": "refusal", "refusal": "no"}], (Text("hi"), Text("no"))),
    ],
)
def test_text_parts_become_text_blocks_and_nothing_is_put_between_them(content: Any, blocks: tuple[Text, ...]):
    """Neither a blank nor a line end is invented."""
    assert said({"role": "user", "content": content}) == (user(*blocks),)


@pytest.mark.wire(4)
def test_pictures_are_taken_in_both_forms_and_stay_in_their_place():
    """A plain text or an object; data or an address."""
    content = [
        {"type": "text", "text": "1"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}},
        {"type": "text", "text": "2"},
        {"type": "image_url", "image_url": PIXEL},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    picture = Image("image/png", PIXEL.partition(",")[2])
    remote = RemoteMedia("https://example.com/a.png", "messages[0].content[4]")
    assert said({"role": "user", "content": content}) == (user(Text("1"), picture, Text("2"), picture, remote),)


@pytest.mark.wire(4)
@pytest.mark.parametrize("content", [None, "", []])
def test_a_message_may_say_nothing_in_any_way_as_long_as_another_speaks(content: Any):
    """Nothing, in each form clients have for it."""
    assert len(said({"role": "user", "content": content}, *HI)) == 2


@pytest.mark.wire(5)
@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_an_assistants_message_of_calls_only_has_them_whatever_its_content(content: dict[str, Any]):
    """Cursor sends an empty list, others null, nothing, or an empty text."""
    drafts = said(*HI, {"role": "assistant", **content, "tool_calls": [CALL]}, RESULT)
    calls = [block for block in drafts[1].content if isinstance(block, ToolUse)]
    assert calls == [ToolUse("call_1", "f", '{"a":1}')]
    assert drafts[2] == Draft("user", (DraftResult("call_1", (Text("done"),)),), "messages[2]")


@pytest.mark.wire(5)
def test_empty_and_trailing_assistants_are_legal():
    """An empty one is nothing; a last one is the beginning of the answer."""
    assert said(*HI, {"role": "assistant", "content": ""}, *HI)[1].role == "assistant"
    assert said(*HI, {"role": "assistant", "content": "It is"})[-1].content == (Text("It is"),)


@pytest.mark.wire(5, 34)
def test_what_an_assistant_said_comes_before_what_it_called():
    """Text before calls is part of the history."""
    (_, draft, _) = said(*HI, {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]}, RESULT)
    assert draft.content == (Text("Let me see."), ToolUse("call_1", "f", '{"a":1}'))


@pytest.mark.wire(5, 13)
def test_an_earlier_refusal_is_what_the_assistant_said():
    """It came back as `refusal` with `content: null`, and is sent so again."""
    (_, draft, _) = said(*HI, {"role": "assistant", "content": None, "refusal": "I won't."}, *HI)
    assert draft.content == (Text("I won't."),)


@pytest.mark.wire(6)
@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("42", (Text("42"),)),
        (None, ()),
        ("", (Text(""),)),
        ([], ()),
        ([{"type": "text", "text": "a"}], (Text("a"),)),
        (
            [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
            (Text("a"), Image("image/png", PIXEL.partition(",")[2])),
        ),
    ],
)
def test_a_result_may_be_text_parts_pictures_or_nothing(content: Any, blocks: tuple[Any, ...]):
    """It is tied to its call by the id alone."""
    drafts = said(*HI, {"role": "assistant", "tool_calls": [CALL]}, {**RESULT, "content": content})
    assert drafts[2].content == (DraftResult("call_1", blocks),)


@pytest.mark.wire(12)
def test_legacy_calls_and_results_are_tied_by_their_place():
    """They have no ids; the result follows its call."""
    drafts = said(
        *HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "one"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}},
        {"role": "function", "name": "f", "content": "two"},
    )
    calls = [draft.content[0] for draft in drafts[1:]]
    assert calls == [
        ToolUse("call_legacy_1", "f", "{}"),
        DraftResult("call_legacy_1", (Text("one"),)),
        ToolUse("call_legacy_3", "f", "{}"),
        DraftResult("call_legacy_3", (Text("two"),)),
    ]


@pytest.mark.wire(8)
def test_a_custom_tools_call_in_the_history_keeps_its_text():
    """Free text travels as the one argument that such a tool has here."""
    custom = {"id": "c", "type": "custom", "custom": {"name": "ApplyPatch", "input": '*** "é"\n'}}
    drafts = said(*HI, {"role": "assistant", "tool_calls": [custom]}, {**RESULT, "tool_call_id": "c"})
    (called,) = drafts[1].content
    assert isinstance(called, ToolUse)
    assert (called.name, json.loads(called.arguments)) == ("ApplyPatch", {"input": '*** "é"\n'})


@pytest.mark.wire(25)
@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": ""}, {"arguments": "{}"}])
def test_a_call_without_arguments_has_an_empty_object_in_the_history_too(arguments: dict[str, Any]):
    """Other servers gave clients an empty text, and they send it back."""
    called = {"id": "call_1", "function": {"name": "f", **arguments}}
    drafts = said(*HI, {"role": "assistant", "tool_calls": [called]}, RESULT)
    assert drafts[1].content == (ToolUse("call_1", "f", "{}"),)


@pytest.mark.wire(58)
def test_the_clients_json_is_carried_as_it_was_written():
    """Numbers keep their form and keys their order, in arguments and in schemas."""
    written = '{ "b": 1.0, "a": 12345678901234567890, "c": 1e2 }'
    schema = '{"type":"object","properties":{"b":{"type":"number","maximum":1.0},"a":{}}}'
    message = {"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": written}}]}
    body = json.dumps({"messages": [*HI, message, RESULT], "tools": []}).replace(
        '"tools": []', f'"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]'
    )
    decoded = decode(body.encode(), Policy())
    assert decoded.drafts[1].content == (ToolUse("call_1", "f", written),)
    assert decoded.tool_set.tools[0].schema == schema


@pytest.mark.wire(8, 58)
def test_the_clients_json_is_carried_as_it_was_written_in_other_apis_shapes_too():
    """What Cursor posts: a Responses body, and Anthropic's blocks with a `system`."""
    odd = '{ "b": 1.0, "10": "x", "2": 12345678901234567890123, "c": 1e2 }'
    schema = '{"type":"object","properties":{"b":{"maximum":9223372036854775807.0}},"maxProperties":1e2}'
    tool = f'{{"type":"function","name":"f","parameters":{schema}}}'
    form = f'"text":{{"format":{{"type":"json_schema","name":"x","schema":{schema}}}}}'
    posted = decode(f'{{"input":"hi","messages":[],"instructions":"s","tools":[{tool}],{form}}}'.encode(), Policy())
    assert (posted.tool_set.tools[0].schema, posted.schema, posted.system) == (schema, schema, ("s",))
    used = f'{{"role":"assistant","content":[{{"type":"tool_use","id":"a","name":"f","input":{odd}}}]}}'
    result = '{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"ok"}]}'
    posted = decode(f'{{"system":"s","messages":[{used},{result}],"tools":[{tool}]}}'.encode(), Policy())
    assert posted.drafts[0].content == (ToolUse("a", "f", odd),)
    assert (posted.tool_set.tools[0].schema, posted.system) == (schema, ("s",))


@pytest.mark.wire(25, 65)
@pytest.mark.parametrize(
    "written", ['{"city":"Os', "null", "[]", " ", "{'city': 'Oslo'}", '{"city":\t"\t"}', "1", '{"a":"x \\ud83d y"}']
)
def test_arguments_that_can_not_be_read_stay_as_the_model_wrote_them(written: str):
    """A conversation is not lost for one bad call; the result says what was wrong with it."""
    called = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": written}}
    drafts = said(*HI, {"role": "assistant", "tool_calls": [called]}, {**RESULT, "content": "invalid JSON"})
    assert drafts[1].content == (ToolUse("call_1", "f", written),)
    assert drafts[2].content == (DraftResult("call_1", (Text("invalid JSON"),)),)
    legacy = {"role": "assistant", "function_call": {"name": "f", "arguments": written}}
    drafts = said(*HI, legacy, {"role": "function", "name": "f", "content": "invalid JSON"})
    assert drafts[1].content == (ToolUse("call_legacy_1", "f", written),)


@pytest.mark.wire(25)
def test_arguments_sent_as_the_object_itself_are_its_text():
    """As Ollama's clients have them."""
    body = json.dumps({"messages": [*HI, {"role": "assistant", "tool_calls": [CALL]}, RESULT]})
    decoded = decode(body.replace(json.dumps('{"a":1}'), '{"a": 1.0}').encode(), Policy())
    assert decoded.drafts[1].content == (ToolUse("call_1", "f", '{"a": 1.0}'),)


@pytest.mark.wire(1, 65)
def test_a_field_that_another_role_or_kind_has_is_not_looked_at():
    """Whatever it holds."""
    user = {"role": "user", "content": "hi", "tool_calls": "x", "refusal": 1, "function_call": 2, "tool_call_id": 3}
    asked = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "custom": "x"}], "tool_call_id": 5}
    brought = {**RESULT, "refusal": {}, "tool_calls": "x", "name": 5}
    tool = {**TOOL, "custom": "x", "format": 5}
    assert call(messages=[user, asked, brought], tools=[tool]) == call(
        messages=[*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT], tools=[TOOL]
    )


@pytest.mark.wire(1)
@pytest.mark.parametrize("indented", ["  ", "\t", "\r\n"])
def test_line_breaks_between_tokens_change_nothing(indented: str):
    """People write JSON so, and several SDKs."""
    fields: dict[str, Any] = {
        "messages": [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT],
        "tools": [TOOL, {"type": "custom", "custom": {"name": "g"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
    }
    plain = call(**fields)
    spaced = decode(json.dumps(fields, indent=indented).replace("\n", "\r\n").encode(), Policy())
    assert spaced.drafts == plain.drafts
    assert json.loads(spaced.schema or "") == json.loads(plain.schema or "")
    assert [(tool.name, json.loads(tool.schema)) for tool in spaced.tool_set.tools] == [
        (tool.name, json.loads(tool.schema)) for tool in plain.tool_set.tools
    ]
    assert (spaced.tool_set.forced_tool, spaced.tool_set.custom) == ("f", {"g"})


@pytest.mark.wire(13)
@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, '{"type":"object"}'),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "array"}}}, '{"type": "array"}'),
        ({"type": "json_schema", "schema": {"type": "object"}}, '{"type": "object"}'),
    ],
)
def test_each_form_of_the_answer_is_its_schema(form: Any, schema: str | None):
    """Lenient clients put the schema at the top."""
    assert call(response_format=form).schema == schema


@pytest.mark.wire(14)
@pytest.mark.parametrize(
    ("stop", "expected"),
    [(None, ()), ("END", ("END",)), ([], ()), (["a", "\n", "b"], ("a", "\n", "b")), ("", ()), (["", "a"], ("a",))],
)
def test_many_stop_texts_are_taken(stop: Any, expected: tuple[str, ...]):
    """One as it is, or several; an empty one stops nothing."""
    assert call(stop=stop).stop == expected
    assert len(call(stop=[str(number) for number in range(64)]).stop) == 64


@pytest.mark.wire(15)
def test_n_is_honoured_up_to_the_owners_limit():
    """And 1 where nothing is said."""
    assert [call(n=n).choices for n in (None, 1, 4)] == [1, 1, 4]
    assert call(policy=Policy(max_choices=8), n=8).choices == 8


@pytest.mark.wire(16, 15)
def test_parameters_that_change_nothing_are_named_not_refused():
    """The response lists them in a header; nulls are not even sent."""
    assert call(temperature=0.1, top_p=1.0, seed=1, presence_penalty=0).ignored == (
        *("temperature", "top_p", "seed"),
        "presence_penalty",
    )
    assert call(temperature=None, top_p=None, n=None, logprobs=False, top_logprobs=None).ignored == ()
    assert call(logprobs=True, top_logprobs=5).ignored == ("logprobs", "top_logprobs")


@pytest.mark.wire(8, 14)
def test_what_has_no_effect_beside_something_else_is_named_too():
    """A grammar no model can be held to, in either form of a custom tool; a stop text beside a schema."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    for tool in ({"custom": {"name": "a", "format": grammar}}, {"name": "a", "format": grammar}):
        assert call(tools=[{"type": "custom", **tool}]).ignored == ("tools.custom.format",)
    assert call(tools=[{"type": "custom", "name": "a"}, {**TOOL, "format": grammar}]).ignored == ()
    assert call(stop="a", response_format={"type": "json_object"}).ignored == ("stop",)
    assert call(stop="a", response_format={"type": "text"}).ignored == ()


@pytest.mark.wire(17)
def test_a_request_is_streamed_only_if_it_says_so():
    """Null and absent are false."""
    assert [call(stream=stream).stream for stream in (True, False, None)] == [True, False, False]
    assert not call().stream
    assert call(stream=True, stream_options={"include_usage": True}).include_usage
    assert not call(stream=True, stream_options={"include_usage": None}).include_usage
    assert not call(stream=True, stream_options=None).include_usage


@pytest.mark.wire(18)
@pytest.mark.parametrize("named", EFFORT_NAMES)
def test_every_effort_has_one_of_the_clis(named: str):
    """By OpenAI's name and by other gateways' form of it."""
    assert call(reasoning_effort=named).effort == EFFORT_NAMES[named]
    assert call(reasoning={"effort": named, "summary": "auto"}).effort == EFFORT_NAMES[named]


@pytest.mark.wire(18)
@pytest.mark.parametrize(
    ("tokens", "effort"), [(0, "low"), (2000, "low"), (5000, "medium"), (20_000, "high"), (200_000, "max")]
)
def test_a_budget_of_tokens_is_the_effort_that_it_amounts_to(tokens: int, effort: str):
    """As of Anthropic's messages; an effort by name wins."""
    assert call(reasoning={"max_tokens": tokens}).effort == effort
    assert call(reasoning={"max_tokens": tokens, "effort": "xhigh"}).effort == "xhigh"


SHOWN: list[dict[str, Any]] = [
    {"reasoning_effort": "low"},
    {"reasoning": {"effort": "high"}},
    {"reasoning": {"enabled": True}},
    {"reasoning": {"max_tokens": 2000}},
    {"reasoning": {"summary": "auto"}},
    {"include_reasoning": True},
    {"include_reasoning": True, "reasoning_effort": "none"},
]
NOT_SHOWN: list[dict[str, Any]] = [
    {},
    {"reasoning_effort": None, "reasoning": None, "include_reasoning": None},
    {"reasoning_effort": "none"},
    {"reasoning": {}},
    {"reasoning": {"effort": "none", "summary": "auto"}},
    {"reasoning": {"enabled": False}},
    {"reasoning": {"max_tokens": 0}},
]
FORBIDDEN: list[dict[str, Any]] = [
    {"include_reasoning": False},
    {"include_reasoning": False, "reasoning_effort": "high"},
    {"reasoning": {"exclude": True}},
    {"reasoning": {"exclude": True, "effort": "high"}},
]


@pytest.mark.wire(26)
def test_thinking_is_shown_to_who_asks_for_it_and_else_as_the_owner_decides():
    """Many programs print it; one that forbids it never gets it."""
    settings: tuple[ShowReasoning, ...] = ("auto", "always", "never")
    for fields, expected in (
        *((fields, [True, True, False]) for fields in SHOWN),
        *((fields, [False, True, False]) for fields in NOT_SHOWN),
        *((fields, [False, False, False]) for fields in FORBIDDEN),
    ):
        shown = [call(policy=Policy(show_reasoning=setting), **fields).reasoning for setting in settings]
        assert shown == expected, fields


@pytest.mark.wire(18)
def test_reasoning_that_is_switched_off_is_the_least_effort():
    """OpenRouter's switch; nothing said leaves it to the model, and OpenAI's own name wins."""
    assert call(reasoning={"enabled": False}).effort == "low"
    assert call(reasoning={"enabled": True}).effort is None
    assert call(reasoning={}).effort is None
    assert call(reasoning_effort="high", reasoning={"effort": "low"}).effort == "high"
    assert call(reasoning_effort=None).effort is None


@pytest.mark.wire(20)
def test_a_byte_order_mark_is_no_part_of_the_json():
    """Some clients on Windows send one."""
    assert decode(b"\xef\xbb\xbf" + json.dumps({"messages": HI}).encode(), Policy()) == call()


def test_a_turn_has_all_that_was_understood():
    """Nothing is dropped on the way from the request to the turn."""
    decoded = call(
        messages=[{"role": "system", "content": "s"}, *HI],
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=9,
        stop="END",
        reasoning_effort="high",
        max_budget_usd=0.5,
        response_format={"type": "json_object"},
    )
    turn = decoded.build_turn("opus", ())
    assert (turn.model, turn.system, turn.messages) == ("opus", ("s",), ())
    assert [tool.name for tool in turn.tools] == ["f"]
    assert (turn.tool_choice, turn.forced_tool, turn.parallel_tools) == ("any", None, False)
    assert (turn.max_tokens, turn.stop, turn.effort) == (9, ("END",), "high")
    assert (turn.max_budget_usd, turn.schema) == (0.5, '{"type":"object"}')


def assistant(**fields: Any) -> dict[str, Any]:
    return {"messages": [*HI, {"role": "assistant", **fields}]}


def part(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [fields]}]}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no messages": ({"messages": []}, "messages", "must have a message"),
    "messages missing": ({"model": "opus"}, "messages", "must have a message"),
    "only a blank system": ({"messages": [{"role": "system", "content": " "}]}, "messages", "must have a message"),
    "only blanks": ({"messages": [{"role": "user", "content": " \n"}]}, "messages", "with content"),
    "messages no list": ({"messages": "hi"}, "messages", "Expected `array`"),
    "message no object": ({"messages": ["hi"]}, "messages[0]", "Expected `object`"),
    "role missing": ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing"),
    "role unknown": (
        {"messages": [{"role": "wizard", "content": "hi"}]},
        "messages[0].role",
        "system, developer, user",
    ),
    "content of a number": ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "Expected"),
    "part without type": (part(text="hi"), "messages[0].content[0].type", "missing"),
    "text part without text": (part(type="text"), "messages[0].content[0].text", "missing"),
    "audio": (part(type="input_audio", input_audio={}), "messages[0].content[0].type", "text, image_url and file"),
    "picture without address": (part(type="image_url"), "messages[0].content[0].image_url", "missing"),
    "picture at a file": (
        part(type="image_url", image_url="file:///etc/passwd"),
        "messages[0].content[0].image_url",
        "data URL or an https",
    ),
    "stored file": (part(type="file", file={"file_id": "x"}), "messages[0].content[0].file.file_id", "file_data"),
    "file without data": (part(type="file", file={}), "messages[0].content[0].file.file_data", "missing"),
    "picture in system": (
        {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": PIXEL}]}, *HI]},
        "messages[0].content[0].type",
        "only text",
    ),
    "call without id": (assistant(tool_calls=[{"function": {"name": "f"}}]), "messages[1].tool_calls[0].id", "missing"),
    "call of nothing": (assistant(tool_calls=[{"id": "a"}]), "messages[1].tool_calls[0].function", "missing"),
    "call without name": (
        assistant(tool_calls=[{"id": "a", "function": {"arguments": "{}"}}]),
        "messages[1].tool_calls[0].function.name",
        "missing",
    ),
    "custom call without name": (
        assistant(tool_calls=[{"id": "a", "custom": {"input": "x"}}]),
        "messages[1].tool_calls[0].custom.name",
        "missing",
    ),
    "legacy call without a name": (
        assistant(function_call={"arguments": "{}"}),
        "messages[1].function_call.name",
        "missing",
    ),
    "picture of the assistant's": (
        assistant(content=[{"type": "image_url", "image_url": {"url": PIXEL}}]),
        "messages[1].content[0].type",
        "send it in a user message",
    ),
    "result without id": (
        {"messages": [*HI, {"role": "tool", "content": "x"}]},
        "messages[1].tool_call_id",
        "missing",
    ),
    "result of a legacy call without one": (
        {"messages": [*HI, {"role": "function", "name": "f", "content": "x"}]},
        "messages[1].tool_call_id",
        "missing",
    ),
    "limit of nothing": ({"max_tokens": 0}, "max_tokens", "at least 1"),
    "limit below nothing": ({"max_completion_tokens": -1, "max_tokens": 5}, "max_completion_tokens", "at least 1"),
    "limit of a text": ({"max_tokens": "5"}, "max_tokens", "Expected `int"),
    "sixty-five stops": ({"stop": ["a"] * 65}, "stop", "up to 64"),
    "stop of null": ({"stop": ["a", None]}, "stop[1]", "Expected `str`"),
    "no answers": ({"n": 0}, "n", "MAX_CHOICES"),
    "too many answers": ({"n": 5}, "n", "from 1 to 4"),
    "effort unknown": ({"reasoning_effort": "lots"}, "reasoning_effort", "none, minimal, low"),
    "other effort unknown": ({"reasoning": {"effort": "lots"}}, "reasoning.effort", "none, minimal, low"),
    "budget of nothing": ({"max_budget_usd": 0}, "max_budget_usd", "more than 0"),
    "options without a stream": ({"stream_options": {"include_usage": True}}, "stream_options", "`stream: true`"),
    "form unknown": ({"response_format": {"type": "xml"}}, "response_format.type", "text, json_object or json_schema"),
    "form of a text": ({"response_format": "json"}, "response_format", "Expected `object"),
    "schema missing": ({"response_format": {"type": "json_schema"}}, "response_format.schema", "JSON Schema"),
    "schema wrong": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "thing"}}}},
        "response_format.json_schema.schema.type",
        "not valid JSON Schema",
    ),
    "model of a number": ({"model": 5}, "model", "Expected `str"),
    "budget below nothing": ({"reasoning": {"max_tokens": -1}}, "reasoning.max_tokens", "0 or more"),
    "earlier response": ({"previous_response_id": "resp_1"}, "previous_response_id", "not supported"),
    "too hot": ({"temperature": 2.1}, "temperature", "from 0 to 2"),
}


@pytest.mark.wire(4, 14, 15, 16, 17, 40)
@pytest.mark.parametrize(("fields", "param", "fix"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_with_the_field_and_the_fix(fields: dict[str, Any], param: str, fix: str):
    """400, never 422 and never silence; the sentence names the field it speaks of."""
    body = fields if "messages" in fields or fields == {"model": "opus"} else {"messages": HI, **fields}
    refused = problem(json.dumps(body).encode())
    assert refused.status == 400
    assert fix in refused.message
    assert refused.param == param
    named = refused.message.split("`")[1]
    assert (refused.param or "").startswith(named)


@pytest.mark.wire(20)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"messages": [}', "invalid_json"),
        (b'{"messages": "\xff"}', "invalid_json"),
        (b'{"messages":[{"role":"user","content":"\\ud800"}]}', "invalid_json"),
        (b'{"temperature": NaN}', "invalid_json"),
        (b"model=sonnet", "invalid_json"),
        (b'{"a":' * 200_000, "invalid_json"),
        (b"[1]", "invalid_value"),
        (b'"hi"', "invalid_value"),
    ],
)
def test_a_body_that_is_no_json_object_is_a_400(body: bytes, code: str):
    """However it is broken."""
    refused = problem(body)
    assert (refused.status, refused.code, refused.param) == (400, code, None)
    assert "body" in refused.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    *("messages", "input", "system", "instructions", "tools", "tool_choice", "functions", "function_call", "text"),
    *("response_format", "stop", "n", "stream", "stream_options", "reasoning", "reasoning_effort", "max_tokens"),
    *("temperature", "logit_bias", "modalities", "max_budget_usd", "parallel_tool_calls", "max_output_tokens"),
]
messages_of_anything = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system", "function", "x"])},
        optional={
            "content": json_values
            | st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["text", "image_url", "file", "tool_use", "tool_result", "document"])},
                    optional=dict.fromkeys(
                        ("text", "image_url", "file", "source", "input", "content", "id"), json_values
                    ),
                ),
                max_size=3,
            ),
            "tool_calls": json_values | st.just([CALL]),
            "tool_call_id": st.just("call_1") | json_values,
            "function_call": json_values,
        },
    ),
    max_size=4,
)


@pytest.mark.wire(40)
@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
    st.none() | messages_of_anything,
)
def test_whatever_is_sent_it_is_understood_or_refused_and_never_a_fault_of_ours(
    fields: dict[str, Any], messages: list[Any] | None
):
    """No body makes an exception of another kind, which would be a 500."""
    body = {**fields, **({"messages": messages} if messages is not None else {})}
    refused: Problem | None = None
    try:
        decode(json.dumps(body).encode(), Policy())
    except Problem as problem:
        refused = problem
    assert refused is None or (refused.status in {400, 413} and refused.message)
