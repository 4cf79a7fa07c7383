"""Structured answers: the content is the JSON that was asked for and nothing else, or an honest word why not."""

import json
from typing import Any

import pytest

from tests.support.calls import build_tool, collect_calls, get_choice, list_calls
from tests.support.chat import Json, collect_chunks, join_text, list_finish_reasons, parse_error, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, StalledReply, Upstream
from tests.support.stack import Stack

pytestmark = pytest.mark.wire(13)

# A request that must not be waited for: if the CLI is quick enough to make it, it ends with the CLI.
NEVER = StalledReply(0)
POINT: Json = {
    "type": "object",
    "properties": {"x": {"type": "integer", "minimum": 3}, "label": {"type": ["string", "null"]}},
    "required": ["x"],
    "additionalProperties": False,
}


def asked_for(schema: Any, **more: Any) -> Json:
    """The format of an answer that meets a schema."""
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, **more}}


def gives(*pieces: str, text: str = "", call: str = "toolu_1", **more: Any) -> AnswerReply:
    """What the model does to answer by a schema: it calls the CLI's own tool."""
    return AnswerReply(text, tools=[(call, "StructuredOutput", pieces)], **more)


def offered_schema(upstream: Upstream) -> Json:
    """The schema of the answer's tool, as the model sees it."""
    [tool] = [tool for tool in upstream.requests[0].body["tools"] if tool["name"] == "StructuredOutput"]
    return tool["input_schema"]


def properties_on_offer(received: ReceivedRequest) -> list[str]:
    """The names of an answer's properties, as the model sees them."""
    return [*received.body["tools"][0]["input_schema"]["properties"]]


async def test_the_content_is_the_models_own_json(each_credential_stack: Stack, upstream: Upstream):
    """Byte for byte, without fences, without the words around it; the schema reaches the model as it is."""
    upstream.script(gives('{"x": 3,', ' "label" : "é\\u00e9"}', text="Here you are:"))
    response = await send_chat(each_credential_stack, response_format=asked_for(POINT, strict=True))
    assert parse_text(response) == '{"x": 3, "label" : "é\\u00e9"}'
    choice = get_choice(response)
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["refusal"] is None
    assert "tool_calls" not in choice["message"]
    assert offered_schema(upstream) == POINT
    assert len(upstream.requests) == 1


async def test_a_stream_has_the_json_once_it_is_known_to_be_valid(stack: Stack, upstream: Upstream):
    """Nothing that would have to be taken back is given out; thinking streams meanwhile."""
    upstream.script(gives('{"x": ', "4}", text="Here:", thinking=["Hm", "m"]))
    chunks = await collect_chunks(stack, response_format=asked_for(POINT), include_reasoning=True)
    assert join_text(chunks) == '{"x": 4}'
    assert list_finish_reasons(chunks) == ["stop"]
    thoughts = [chunk["choices"][0]["delta"].get("reasoning_content", "") for chunk in chunks]
    assert "".join(thoughts) == "Hmm"
    assert collect_calls(chunks) == []


NODE: Json = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    "required": ["next"],
}
TREE: Json = {
    "$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}},
    "$ref": "#/$defs/tree",
}
ROOTS: dict[str, tuple[Json, str]] = {
    "array": ({"type": "array", "items": {"type": "number"}, "minItems": 1}, "[1, 2.0 ]"),
    "union": ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}}]}, '["a", ["b"]]'),
    "choice of objects": ({"oneOf": [POINT, {"type": "object", "required": ["y"]}]}, '{"y": null}'),
    "text": ({"type": "string", "enum": ["yes", "no"]}, '"yes"'),
    "number": ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "number"}, "1.50"),
    "null": ({"type": "null"}, "null"),
    "reference": (TREE, '{"kids": [{"kids": []}]}'),
    "old reference": ({"definitions": {"a b": {"type": "boolean"}}, "$ref": "#/definitions/a%20b"}, "true"),
    "anything": ({}, '{"a": [1, "b"]}'),
}


@pytest.mark.parametrize(("schema", "document"), ROOTS.values(), ids=ROOTS)
async def test_a_schema_may_have_any_root(stack: Stack, upstream: Upstream, schema: Json, document: str):
    """A schema that is not an object is wrapped in one; the client gets the value as the model wrote it."""
    upstream.script(gives(f'{{"value": {document}', "}"))
    assert parse_text(await send_chat(stack, response_format=asked_for(schema))) == document
    assert len(upstream.requests) == 1


async def test_the_value_of_a_wrapped_schema_streams(stack: Stack, upstream: Upstream):
    """Without the object around it."""
    schema, document = ROOTS["array"]
    upstream.script(gives(f'{{"value": {document}', "}"))
    assert join_text(await collect_chunks(stack, response_format=asked_for(schema))) == document


async def test_properties_may_have_any_name(stack: Stack, upstream: Upstream):
    """What the service takes no name for travels under another; the content has the client's own."""
    schema: Json = {"type": "object", "properties": {"$top": {"type": "number"}, "a b": {}}, "required": ["$top"]}
    upstream.script(lambda received: gives(json.dumps(dict.fromkeys(properties_on_offer(received), 1))))
    answer = parse_text(await send_chat(stack, response_format=asked_for(schema)))
    assert json.loads(answer) == {"$top": 1, "a b": 1}
    assert not {"$top", "a b"} & {*offered_schema(upstream)["properties"]}


async def test_a_schema_may_refer_to_itself(stack: Stack, upstream: Upstream):
    """As long as it says something."""
    document = '{"next": {"next": null}}'
    upstream.script(gives(document))
    assert parse_text(await send_chat(stack, response_format=asked_for(NODE))) == document
    assert offered_schema(upstream) == NODE


@pytest.mark.parametrize(
    "declared", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"]
)
async def test_a_declared_dialect_does_not_matter(stack: Stack, upstream: Upstream, declared: str):
    """Generators declare one; it reaches the model as it is."""
    schema = {"$schema": declared, **POINT}
    upstream.script(gives('{"x": 5}'))
    assert parse_text(await send_chat(stack, response_format=asked_for(schema))) == '{"x": 5}'
    assert offered_schema(upstream) == schema


@pytest.mark.parametrize(
    "form", [{"type": "json_object"}, {"type": "json_schema", "schema": POINT}], ids=["object", "lenient"]
)
async def test_other_ways_to_ask_for_json_mean_it_too(stack: Stack, upstream: Upstream, form: Json):
    """Any object will do, and a schema may be where lenient clients put it."""
    upstream.script(gives('{"x": 7}'))
    assert json.loads(parse_text(await send_chat(stack, response_format=form))) == {"x": 7}


async def test_text_is_the_format_without_a_format(stack: Stack, upstream: Upstream):
    """`text` asks for nothing."""
    assert parse_text(await send_chat(stack, response_format={"type": "text"})) == "Hello world!"
    [received] = upstream.requests
    assert not received.body.get("tools")


async def test_an_answer_that_does_not_meet_the_schema_is_asked_for_again(
    each_credential_stack: Stack, upstream: Upstream
):
    """The CLI tells the model what is wrong; the client sees only what is valid, and what all of it cost."""
    upstream.script(gives('{"x": 2}', output=5), gives('{"x": 3}', call="toolu_2", output=7, cache_read=100))
    response = await send_chat(each_credential_stack, response_format=asked_for(POINT))
    assert parse_text(response) == '{"x": 3}'
    usage = response.json()["usage"]
    assert usage["completion_tokens"] == 12
    assert usage["prompt_tokens"] == 120
    assert usage["prompt_tokens_details"]["cached_tokens"] == 100
    assert usage["total_tokens"] == 132
    # A busy CLI may not tell it in time.
    assert float(response.headers.get("x-cost-usd", "0")) == usage.get("cost_usd", 0)
    [_, second] = upstream.requests
    [told] = second.conversation[-1]["content"]
    assert told["is_error"]
    assert "/x" in told["content"]


async def test_words_in_place_of_the_call_are_asked_for_again(stack: Stack, upstream: Upstream):
    """The model may have forgotten; its words are not the answer."""
    upstream.script(AnswerReply("Three!"), gives('{"x": 3}'))
    response = await send_chat(stack, response_format=asked_for(POINT))
    assert parse_text(response) == '{"x": 3}'
    assert get_choice(response)["message"]["refusal"] is None


async def test_a_model_that_never_meets_the_schema_is_an_error(stack: Stack, upstream: Upstream):
    """Nothing invalid is ever given out."""
    upstream.script(*(gives('{"x": 1}', call=f"toolu_{n}") for n in range(12)))
    response = await send_chat(stack, response_format=asked_for(POINT))
    assert response.status_code == 502
    assert parse_error(response)["code"] == "output_validation_failed"
    assert response.headers["x-should-retry"] == "true"
    assert len(upstream.requests) < 12


async def test_a_model_that_would_rather_talk_has_refused(each_credential_stack: Stack, upstream: Upstream):
    """`refusal` has its words and `content` is null, streamed and not."""
    upstream.script(AnswerReply(["I will ", "not."]))
    choice = get_choice(await send_chat(each_credential_stack, response_format=asked_for(POINT)))
    assert choice["message"]["refusal"] == "I will not."
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "stop"
    chunks = await collect_chunks(each_credential_stack, response_format=asked_for(POINT))
    assert "".join(chunk["choices"][0]["delta"].get("refusal", "") for chunk in chunks) == "I will not."
    assert join_text(chunks) == ""


async def test_a_refusal_of_the_services_own_is_one_here_too(stack: Stack, upstream: Upstream):
    """It is asked for once: what was refused is not asked for in other words."""
    upstream.script(AnswerReply("No.", stop_reason="refusal"))
    choice = get_choice(await send_chat(stack, response_format=asked_for(POINT)))
    assert choice["message"]["refusal"] == "No."
    assert choice["finish_reason"] == "content_filter"
    assert len(upstream.requests) == 1


async def test_an_answer_cut_by_the_token_limit_says_so(stack: Stack, upstream: Upstream):
    """Half a document is not given out, and the finish reason tells why there is none."""
    upstream.script(gives('{"x": ', stop_reason="max_tokens"), NEVER)
    choice = get_choice(await send_chat(stack, response_format=asked_for(POINT), max_tokens=20))
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == ""
    await stack.wait_until_idle()
    upstream.script(gives('{"x": ', stop_reason="max_tokens"), NEVER)
    chunks = await collect_chunks(stack, response_format=asked_for(POINT), max_tokens=20)
    assert list_finish_reasons(chunks) == ["length"]
    assert join_text(chunks) == ""
    await stack.wait_until_idle()
    assert upstream.answering == 0


# --- Schemas as others write them --------------------------------------------------------------------------------------

LINE: Json = {
    "type": "object",
    "properties": {"kind": {"const": "line"}, "to": {"type": "integer"}},
    "required": ["kind"],
}
DOT: Json = {"type": "object", "properties": {"kind": {"const": "dot"}}, "required": ["kind"]}
KINDS: Json = {"propertyName": "kind", "mapping": {"line": "#/$defs/Line", "dot": "#/$defs/Dot"}}
OTHERS: dict[str, tuple[Json, str, str]] = {
    "pydantic's tagged union": (
        {
            "$defs": {"Line": LINE, "Dot": DOT},
            "type": "object",
            "properties": {"s": {"oneOf": [{"$ref": "#/$defs/Line"}, {"$ref": "#/$defs/Dot"}], "discriminator": KINDS}},
        },
        '{"s": {"kind": "circle"}}',
        '{"s": {"kind": "dot"}}',
    ),
    "pydantic's tuple": (
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        '{"value": ["a", 1]}',
        '{"value": [1, "a"]}',
    ),
    "a closed tuple": (
        {
            "type": "object",
            "properties": {"t": {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}},
        },
        '{"t": [1, 2]}',
        '{"t": [1]}',
    ),
    "dependent fields": (
        {
            "type": "object",
            "dependentRequired": {"a": ["b"]},
            "dependentSchemas": {"a": {"properties": {"b": {"const": 1}}}},
        },
        '{"a": 0, "b": 2}',
        '{"a": 0, "b": 1}',
    ),
    "no other fields": (
        {"type": "object", "properties": {"a": {}}, "unevaluatedProperties": False},
        '{"a": 1, "b": 2}',
        '{"a": 1}',
    ),
    "notes of others": (
        {
            "type": "object",
            "properties": {"discriminator": {"type": "integer", "x-order": 1, "example": 7}},
            "required": ["discriminator"],
            "propertyOrdering": ["discriminator"],
            "markdownDescription": "x",
        },
        '{"discriminator": "x"}',
        '{"discriminator": 7}',
    ),
}


@pytest.mark.parametrize(("schema", "wrong", "right"), OTHERS.values(), ids=OTHERS)
async def test_a_schema_in_words_that_the_cli_lacks_is_met_all_the_same(
    stack: Stack, upstream: Upstream, schema: Json, wrong: str, right: str
):
    """Notes mean nothing to a validator; the words of later drafts have counterparts. What is wrong is still wrong."""
    upstream.script(gives(wrong), gives(right, call="toolu_2"))
    document = parse_text(await send_chat(stack, response_format=asked_for(schema)))
    assert json.loads(document) == json.loads(right).get("value", json.loads(right))
    assert len(upstream.requests) == 2


# --- Beside tools ------------------------------------------------------------------------------------------------------

WEATHER = build_tool("get_weather")


async def test_beside_tools_the_model_may_call_or_answer(stack: Stack, upstream: Upstream):
    """A call is a call, with the words before it; an answer is the JSON."""
    upstream.script(
        AnswerReply("Let me see.", tools=[("toolu_1", "get_weather", ['{"city": "Rome"}'])]), gives('{"x": 9}')
    )
    response = await send_chat(stack, response_format=asked_for(POINT), tools=[WEATHER])
    assert list_calls(response) == [("toolu_1", "get_weather", '{"city": "Rome"}')]
    assert get_choice(response)["message"]["content"] == "Let me see."
    assert get_choice(response)["finish_reason"] == "tool_calls"
    assert {tool["name"] for tool in upstream.requests[0].body["tools"]} == {"StructuredOutput", "get_weather"}
    chunks = await collect_chunks(stack, response_format=asked_for(POINT), tools=[WEATHER])
    assert join_text(chunks) == '{"x": 9}'
    assert list_finish_reasons(chunks) == ["stop"]
    assert collect_calls(chunks) == []


async def test_a_call_beside_an_answer_wins(stack: Stack, upstream: Upstream):
    """The model wanted to know more: what it answered too early is not given out."""
    upstream.script(
        AnswerReply(tools=[("toolu_1", "get_weather", ["{}"]), ("toolu_2", "StructuredOutput", ['{"x": 9}'])])
    )
    chunks = await collect_chunks(stack, response_format=asked_for(POINT), tools=[WEATHER])
    assert collect_calls(chunks) == [("toolu_1", "get_weather", "{}")]
    assert join_text(chunks) == ""
    assert list_finish_reasons(chunks) == ["tool_calls"]
