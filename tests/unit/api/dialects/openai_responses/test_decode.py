"""A Responses request becomes the turn that it means, or a refusal that names the field."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from api.conversation.drafts import DraftResult
from api.conversation.items import seal_thoughts, unseal_thoughts
from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.openai_parameters import RESPONSES_PARAMETERS
from api.dialects.openai_responses.decode import ResponsesTurnRequest, decode
from api.dialects.openai_responses.store import KeyResponses, ResponseStore, StoredResponse
from api.dialects.openai_responses.view import build_response, to_input_item
from shared.turn import Document, Image, RedactedThinking, Text, Thinking, ToolUse
from tests.support.calls import CITY

type Json = dict[str, Any]

USER: Json = {"role": "user", "content": "Hi"}
CALL: Json = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "c1", "output": "done"}
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)

# Fields of the request as OpenAI documents them.
DOCUMENTED = {
    *("access_programs", "background", "background_options", "context_management", "conversation", "image", "include"),
    *("input", "instructions", "max_output_tokens", "moderation", "prompt_cache_options"),
    *("max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id", "prompt"),
    *(
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
    ),
    *("stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
}


def shelf() -> KeyResponses:
    return ResponseStore(10, 10**6, 60).for_key("owner")


def read(
    sent: Any = "Hi", memory: KeyResponses | None = None, *, strict: bool = False, **fields: Any
) -> ResponsesTurnRequest:
    body = msgspec.json.encode({"input": sent, **fields})
    return decode(body, Policy(strict=strict), memory or shelf())


def refused(sent: Any = "Hi", **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(sent, **fields)
    return caught.value


def roles(call: ResponsesTurnRequest) -> list[tuple[str, list[str]]]:
    return [(draft.role, [type(block).__name__ for block in draft.content]) for draft in call.drafts]


def raw(*items: Json) -> tuple[msgspec.Raw, ...]:
    return tuple(msgspec.Raw(msgspec.json.encode(item)) for item in items)


def kept(memory: KeyResponses, output: Sequence[Json], name: str = "resp_1") -> None:
    memory.put(StoredResponse(name, b"{}", (), raw(USER), raw(*output)))


# --- Items ------------------------------------------------------------------------------------------------------------


@pytest.mark.wire(52)
def test_a_text_is_a_message_of_the_users():
    """To the byte."""
    assert read(" Hi\n").drafts[0].content == (Text(" Hi\n"),)


@pytest.mark.wire(3, 52, 71)
def test_instructions_come_before_system_and_developer_items():
    """All are kept, in order."""
    developer = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]}
    call = read([{"role": "system", "content": "a"}, USER, developer], instructions="first")
    assert call.system == ("first", "a")
    assert roles(call) == [("user", ["Text"]), ("system", ["Text"])]
    assert call.drafts[1].content == (Text("b"),)


def test_where_only_instructions_speak_they_are_the_users_message():
    """The last of them, as OpenAI answers them; the others stay what they are."""
    for sent in ([], "", " ", None):
        call = read(sent, instructions="Write a haiku.")
        assert call.system == ()
        assert call.drafts[0].content == (Text("Write a haiku."),)
    call = read([{"role": "developer", "content": "Hi"}], instructions="Be brief.")
    assert (call.system, roles(call), call.drafts[0].content) == (("Be brief.",), [("user", ["Text"])], (Text("Hi"),))


@pytest.mark.wire(52)
def test_parts_are_what_they_are():
    """Texts, pictures and files, in their order."""
    parts = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": DOT, "detail": "auto"},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
    ]
    [draft] = read([{"role": "user", "content": parts}]).drafts
    text, image, document = draft.content
    assert text == Text("a")
    assert isinstance(image, Image)
    assert document == Document("text/plain", "hi", "a.txt")


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_part_that_is_not_known_is_told_the_names_of_this_dialect(role: str):
    """Not those of chat completions, in messages and in results."""
    part = [{"type": "input_audio"}]
    output = {**OUTPUT, "output": part}
    for items, place in (
        ([USER, {"role": role, "content": part}], "input[1].content[0].type"),
        ([USER, CALL, output], "input[2].output[0].type"),
    ):
        with pytest.raises(Problem) as caught:
            read(items)
        assert caught.value.param == place
        assert "input_text, output_text, input_image and input_file are" in caught.value.message


@pytest.mark.wire(52, 65)
def test_neighbours_of_the_assistants_are_one_message():
    """With or without `id`, `status` and `type`, so that parallel calls belong together."""
    second = {**CALL, "call_id": "c2", "id": "fc_2", "status": "completed"}
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]}
    call = read([USER, said, CALL, second, OUTPUT, {**OUTPUT, "call_id": "c2"}])
    assert roles(call) == [
        ("user", ["Text"]),
        ("assistant", ["Text", "ToolUse", "ToolUse"]),
        ("user", ["DraftResult", "DraftResult"]),
    ]


def test_custom_and_local_calls_are_calls():
    """Free text travels as the one argument; a shell's action as it is."""
    custom = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x\n"}
    shell = {"type": "local_shell_call", "call_id": "c2", "action": {"type": "exec", "command": ["ls"]}}
    outputs = [
        {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "ok"}]},
        {"type": "local_shell_call_output", "call_id": "c2", "output": "a"},
    ]
    call = read([USER, custom, shell, *outputs])
    assert call.drafts[1].content == (
        ToolUse("c1", "patch", '{"input":"x\\n"}'),
        ToolUse("c2", "local_shell", '{"type":"exec","command":["ls"]}'),
    )
    assert call.drafts[2].content == (DraftResult("c1", (Text("ok"),)), DraftResult("c2", (Text("a"),)))


@pytest.mark.wire(52, 71)
def test_thoughts_of_ours_go_back_and_others_do_not():
    """An item of another's, or without what seals it, is nothing; what leads to nothing is left out."""
    ours = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": seal_thoughts([Thinking("Hm.", "sig")]),
    }
    said = {"role": "assistant", "content": "Yes."}
    for other in (None, "gAAAA", "claude-api-server.1.!", "claude-api-server.1.e30="):
        call = read([USER, {**ours, "encrypted_content": other}, said, USER])
        assert roles(call)[1] == ("assistant", ["Text"])
    assert read([USER, ours, said, USER]).drafts[1].content == (Thinking("Hm.", "sig"), Text("Yes."))
    assert roles(read([USER, ours])) == [("user", ["Text"])]


def test_what_is_sealed_comes_back():
    """Both kinds of thoughts."""
    thoughts = (Thinking("é\u2028", "s=="), RedactedThinking("x"))
    assert unseal_thoughts(seal_thoughts(thoughts)) == thoughts


def test_calls_of_hosted_tools_are_left_out_by_name():
    """Once each."""
    searched = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    assert read([USER, searched, searched]).ignored == ("input.web_search_call",)


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([], "input"),
        ([{"role": "user", "content": " "}], "input"),
        ([{"role": "robot", "content": "x"}], "input[0].role"),
        ([USER, {"type": "dance"}], "input[1].type"),
        ([USER, {"role": "user", "content": 3}], "input[1].content"),
        ([USER, {"role": 3}], "input[1].role"),
        ([USER, {"role": "user", "content": [{"type": "input_text"}]}], "input[1].content[0].text"),
        ([USER, {**CALL, "call_id": None}], "input[1].call_id"),
        ([USER, {**CALL, "name": None}], "input[1].name"),
        (
            [USER, {"role": "assistant", "content": [{"type": "input_image", "image_url": DOT}]}],
            "input[1].content[0].type",
        ),
        ([USER, {"type": "program_output", "call_id": "c1", "result": "x"}], "input[1].type"),
        ([USER, CALL], "input[1]"),
        ([USER, OUTPUT], "input[1]"),
        (
            [USER, {"role": "system", "content": [{"type": "input_image", "image_url": DOT}]}],
            "input[1].content[0].type",
        ),
        (3, "input"),
        ([3], "input[0]"),
    ],
)
def test_an_item_that_can_not_be_read_is_named(items: Any, param: str):
    """By its place."""
    problem = refused(items)
    assert (problem.status, problem.param) == (400, param)


# Values that fields of other kinds could not have.
FOREIGN: Json = {
    "role": 1,
    "content": 2,
    "name": 3,
    "namespace": 4,
    "arguments": [5],
    "input": 6,
    "output": {"a": 7},
    "action": 8,
    "operation": 9,
    "encrypted_content": 10,
}


@pytest.mark.wire(1)
@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "user", "content": "x"},
        {**CALL, "namespace": None},
        {"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": "x", "namespace": None},
        {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "reasoning", "encrypted_content": None},
    ],
    ids=lambda item: item["type"],
)
def test_a_field_that_an_item_does_not_have_is_not_looked_at(item: Json):
    """Whatever it holds."""
    after = [OUTPUT] if "call" in item["type"] else [USER]
    assert read([USER, {**FOREIGN, **item}, *after]).drafts == read([USER, item, *after]).drafts


@pytest.mark.wire(25, 52)
@pytest.mark.parametrize("written", ['{"city":"Os', "null", "[]", " ", "{'a': 1}", '{"a":\t1', "1"])
def test_arguments_that_can_not_be_read_stay_as_the_model_wrote_them(written: str):
    """In the input, and in what is kept of a response of this server's own."""
    call = read([USER, {**CALL, "arguments": written}, OUTPUT])
    assert call.drafts[1].content == (ToolUse("c1", "f", written),)
    memory = shelf()
    kept(memory, [{**CALL, "arguments": written, "status": "incomplete"}])
    call = read([OUTPUT], memory, previous_response_id="resp_1")
    assert call.drafts[1].content == (ToolUse("c1", "f", written),)
    assert read([USER, {**CALL, "arguments": ""}, OUTPUT]).drafts[1].content == (ToolUse("c1", "f", "{}"),)


@pytest.mark.wire(6, 52)
def test_an_output_goes_behind_its_call_wherever_it_was_sent():
    """Semantic Kernel puts an item of the user's between; others send all calls, then all outputs."""
    second = {**CALL, "call_id": "c2"}
    call = read([USER, CALL, {"role": "user", "content": "b"}, OUTPUT])
    assert roles(call) == [
        ("user", ["Text"]),
        ("assistant", ["ToolUse"]),
        ("user", ["DraftResult"]),
        ("user", ["Text"]),
    ]
    call = read([USER, CALL, USER, second, {**OUTPUT, "call_id": "c2"}, OUTPUT])
    assert [role for role, _ in roles(call)] == ["user", "assistant", "user", "user", "assistant", "user"]
    assert refused([USER, CALL, OUTPUT, OUTPUT]).code == "invalid_tool_results"


@pytest.mark.wire(52)
def test_a_patch_and_its_failure_reach_the_model():
    """What was to be changed, as it was written, and that it did not work."""
    patch = {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "a"}}
    failed = {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no such file"}
    call = read([USER, patch, failed])
    assert call.drafts[1].content == (ToolUse("c1", "apply_patch", '{"type":"delete_file","path":"a"}'),)
    assert call.drafts[2].content == (DraftResult("c1", (Text("no such file"),), is_error=True),)


@pytest.mark.wire(52, 71)
def test_thoughts_that_are_lost_are_named():
    """Those of another service, with words or without; an empty item has lost nothing."""
    empty: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert read([USER, empty, USER]).ignored == ()
    for thought in ({"encrypted_content": "gAAAA"}, {"summary": [{"type": "summary_text", "text": "Hm."}]}):
        assert read([USER, {**empty, **thought}, USER]).ignored == ("input.reasoning",)


@pytest.mark.wire(1, 58)
def test_what_is_kept_and_given_back_is_as_it_was_written():
    """Numbers and the order of keys, in items, tools and schemas; line breaks between tokens are none of it."""
    odd = '{"b":1.0,"10":"a","2":12345678901234567890123}'
    item = f'{{"type":"shell_call","call_id":"c1","action":{odd}}}'
    tool = f'{{"type":"function","name":"f","parameters":{odd}}}'
    call = decode(
        f'{{"input":[{item},{{"type":"shell_call_output","call_id":"c1","output":"x"}}],"tools":[{tool}]}}'.encode(),
        Policy(),
        shelf(),
    )
    assert call.drafts[0].content == (ToolUse("c1", "shell", odd),)
    assert odd in bytes(to_input_item(call.items[0], "x")).decode()
    response = build_response("resp_1", 1, "m", call)
    assert bytes(response.tools).decode() == f"[{tool}]"


def test_a_text_among_the_items_is_a_message_of_the_users_and_kept_as_one():
    """Some clients put it there."""
    call = read(["Hi", USER])
    assert roles(call) == [("user", ["Text"]), ("user", ["Text"])]
    assert json.loads(bytes(to_input_item(call.items[0], "x")))["content"] == [{"type": "input_text", "text": "Hi"}]


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_a_conversation_goes_on_from_what_is_kept():
    """Its items come first, those of this request after them."""
    memory = shelf()
    kept(memory, [CALL])
    call = read([OUTPUT], memory, previous_response_id="resp_1")
    assert roles(call) == [("user", ["Text"]), ("assistant", ["ToolUse"]), ("user", ["DraftResult"])]


def test_a_reference_is_the_item_that_it_names():
    """With or without its type; one to thoughts that are not kept is nothing."""
    memory = shelf()
    kept(memory, [{"type": "message", "id": "msg_1", "role": "assistant", "content": "Yes."}])
    for reference in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        assert roles(read([USER, reference, {"type": "item_reference", "id": "rs_9"}, USER], memory))[1] == (
            "assistant",
            ["Text"],
        )


def test_what_is_not_kept_is_refused_by_code():
    """So that a client can send the whole conversation."""
    assert refused(previous_response_id="resp_9").code == "previous_response_not_found"
    problem = refused([USER, {"type": "item_reference", "id": "msg_9"}])
    assert (problem.code, problem.param) == ("item_not_found", "input[1].id")


# --- Tools ------------------------------------------------------------------------------------------------------------

FLAT: Json = {"type": "function", "name": "f", "parameters": CITY, "strict": True}
SPACE: Json = {
    "type": "namespace",
    "name": "mcp__files__",
    "description": "Files.",
    "tools": [{**FLAT, "name": "read"}],
}


@pytest.mark.wire(71)
def test_a_hosted_tool_is_left_out_by_name():
    """The others stay."""
    call = read(tools=[{"type": "web_search"}, FLAT, {"type": "mcp", "server_label": "x"}])
    assert [tool.name for tool in call.tool_set.tools] == ["f"]
    assert call.ignored == ("tools.web_search", "tools.mcp")
    assert call.tool_set.strict == {"f"}


@pytest.mark.wire(71)
def test_a_tool_of_a_namespace_has_both_names():
    """To the model, in a choice, and in the history."""
    history = [USER, {**CALL, "name": "read", "namespace": "mcp__files__"}, OUTPUT]
    call = read(history, tools=[SPACE, FLAT], tool_choice={"type": "function", "name": "read"})
    [first, _] = call.tool_set.tools
    assert (first.name, first.description, call.tool_set.forced_tool) == (
        "mcp__files__read",
        "Files.",
        "mcp__files__read",
    )
    assert call.drafts[1].content == (ToolUse("c1", "mcp__files__read", "{}"),)


@pytest.mark.parametrize("form", ["flat", "nested", "custom"])
@pytest.mark.parametrize(("own", "words"), [("Reads.", "Files.\n\nReads."), (None, "Files.")])
def test_a_namespaces_description_goes_before_that_of_its_tool(form: str, own: str | None, words: str):
    """In every form of a tool."""
    named: Json = {"name": "read", "description": own}
    forms: Json = {
        "flat": {"type": "function", **named},
        "nested": {"type": "function", "function": named},
        "custom": {"type": "custom", "custom": named},
    }
    offered = read(tools=[{**SPACE, "tools": [forms[form]]}]).tool_set
    assert [(tool.name, tool.description) for tool in offered.tools] == [("mcp__files__read", words)]


@pytest.mark.wire(1)
def test_a_field_that_a_tool_of_its_type_does_not_have_is_not_looked_at():
    """Whatever it holds."""
    foreign: Json = {"custom": "x", "format": 5, "tools": "x"}
    assert read(tools=[{**foreign, **FLAT}]).tool_set == read(tools=[FLAT]).tool_set
    hosted = {"type": "mcp", "name": 1, "description": 2, "parameters": 3, "tools": "x", "strict": "x"}
    assert read(tools=[hosted, FLAT]).ignored == ("tools.mcp",)


@pytest.mark.parametrize(
    ("choice", "names", "mode"),
    [
        (None, ["mcp__files__read", "f"], "auto"),
        ("none", ["mcp__files__read", "f"], "none"),
        ("required", ["mcp__files__read", "f"], "any"),
        ({"type": "custom", "name": "f"}, ["mcp__files__read", "f"], "tool"),
        ({"type": "function", "name": "read", "namespace": "mcp__files__"}, ["mcp__files__read", "f"], "tool"),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}, ["f"], "any"),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
            },
            ["f"],
            "auto",
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "mcp__files__"}]},
            ["mcp__files__read"],
            "auto",
        ),
    ],
)
def test_every_form_of_a_choice_is_kept_to(choice: Any, names: list[str], mode: str):
    """Or the request is refused."""
    offered = read(tools=[SPACE, FLAT, {"type": "web_search"}], tool_choice=choice).tool_set
    assert ([tool.name for tool in offered.tools], offered.choice) == (names, mode)


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"type": "web_search"}, "unsupported_parameter"),
        ({"type": "mcp", "server_label": "x"}, "unsupported_parameter"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, "unsupported_parameter"),
        ({"type": "allowed_tools", "mode": "auto"}, "invalid_value"),
        ({"type": "function", "name": "g"}, "invalid_value"),
        ("required", "invalid_value"),
    ],
)
def test_a_choice_that_can_not_be_kept_is_refused(choice: Any, code: str):
    """Nothing is answered that was not asked for."""
    problem = refused(tools=[{"type": "web_search"}], tool_choice=choice)
    assert (problem.param, problem.code) == ("tool_choice", code)


def test_a_tool_at_fault_is_named_by_its_own_place():
    """Also after one that was left out, and within a namespace."""
    bad = {**FLAT, "parameters": {"type": "objet"}}
    assert refused(tools=[{"type": "web_search"}, bad]).param == "tools[1].parameters.type"
    assert refused(tools=[{**SPACE, "tools": [bad]}]).param == "tools[0].tools[0].parameters.type"
    assert refused(tools=[{**SPACE, "name": None}]).param == "tools[0].name"


def test_a_grammar_is_named_as_without_effect():
    """A text's format is no grammar."""
    custom = {"type": "custom", "name": "p"}
    assert read(tools=[{**custom, "format": {"type": "grammar"}}]).ignored == ("tools.custom.format",)
    assert read(tools=[{**custom, "format": {"type": "text"}}]).ignored == ()


# --- Parameters -------------------------------------------------------------------------------------------------------


def test_the_table_is_what_the_vendor_documents():
    """And what is ours or a well-known client's own."""
    assert set(RESPONSES_PARAMETERS) == {*DOCUMENTED, "max_budget_usd", "client_metadata", "personality"}


@pytest.mark.wire(1, 67, 77)
def test_nulls_defaults_and_unknown_fields_mean_nothing():
    """Everywhere."""
    nothing: Json = dict.fromkeys(RESPONSES_PARAMETERS.keys() - {"input"})
    call = decode(msgspec.json.encode({"input": "Hi", "opts": 1, **nothing}), Policy(), shelf())
    assert call.ignored == ()
    assert read(text={}, truncation="disabled", background=False, top_logprobs=0, tools=[], include=[]).ignored == ()


def test_what_changes_nothing_is_named():
    """In one list."""
    call = read(temperature=0.5, truncation="auto", text={"verbosity": "low"}, include=["message.output_text.logprobs"])
    assert call.ignored == ("temperature", "truncation", "text.verbosity", "include.message.output_text.logprobs")


def test_what_is_asked_for_reaches_the_turn():
    """Limits, effort, schema."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    call = read(
        max_output_tokens=7,
        reasoning={"effort": "minimal", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}},
        max_budget_usd=1,
        parallel_tool_calls=False,
        include=["reasoning.encrypted_content"],
    )
    turn = call.build_turn("m", ())
    assert (turn.max_tokens, turn.effort, turn.max_budget_usd, turn.parallel_tools) == (7, "low", 1, False)
    assert turn.schema == msgspec.json.encode(schema).decode()
    assert (call.show_summaries, call.include_encrypted, call.store) == (True, True, True)
    assert read(text={"format": {"type": "json_object"}}).schema == '{"type":"object"}'


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("conversation", "conv_1", "conversation"),
        ("prompt", {"id": "p"}, "prompt"),
        ("temperature", 3, "temperature"),
        ("truncation", "some", "truncation"),
        ("max_output_tokens", 0, "max_output_tokens"),
        ("max_budget_usd", 0, "max_budget_usd"),
        ("text", {"verbosity": "loud"}, "text.verbosity"),
        ("text", {"format": {"type": "xml"}}, "text.format.type"),
        ("text", {"format": {"type": "json_schema", "schema": {"type": "objet"}}}, "text.format.schema.type"),
        ("text", {"format": {"type": "json_schema"}}, "text.format.schema"),
        ("reasoning", {"effort": "huge"}, "reasoning.effort"),
        ("reasoning", {"summary": "long"}, "reasoning.summary"),
        ("metadata", {str(number): "x" for number in range(17)}, "metadata"),
        ("store", "yes", "store"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(field: str, value: Any, param: str):
    """With what would do."""
    assert refused(**{field: value}).param == param


def test_a_strict_owner_refuses_what_would_be_ignored():
    """Every field that would be, and what would be of those that are supported."""
    ignored: Json = {
        "temperature": 1,
        "top_p": 1,
        "context_management": [],
        "top_logprobs": 3,
        "moderation": {"model": "omni-moderation-latest"},
        "access_programs": {"cyber": "standard"},
        "background_options": {"completion_window": "2h"},
        "image": {"context_compression": "enabled"},
        "personality": "friendly",
        "reasoning": {"mode": "pro"},
        "truncation": "auto",
        "text": {"verbosity": "low"},
        "include": ["message.output_text.logprobs"],
        "tools": [{"type": "web_search"}],
        "input": [USER, {"type": "web_search_call", "id": "ws_1"}],
    }
    assert {
        name for name, parameter in RESPONSES_PARAMETERS.items() if parameter.treatment == "ignored"
    } <= ignored.keys()
    for name, value in ignored.items():
        assert read(**{name: value}).ignored
        with pytest.raises(Problem) as caught:
            read(strict=True, **{name: value})
        assert (caught.value.param or "").startswith(name)
        assert "REJECT_UNSUPPORTED_PARAMS" in caught.value.message


def test_a_response_in_the_background_is_one_that_is_kept():
    """Nobody waits for it, so it has to be looked up."""
    assert read(background=True).background
    assert refused(background=True, store=False).param == "background"
