"""What the CLI alters in JSON is named in a header by every API, streamed or not; a strict owner refuses it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.support.chat import parse_error
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

BIG = '{"id":2512292042121000001}'
SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","maximum":9223372036854775807}}}'
HEADER = "x-altered-parameters"
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": BIG}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": BIG},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": json.loads(SCHEMA)}}],
}
MESSAGES: dict[str, Any] = {
    "max_tokens": 100,
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": json.loads(BIG)}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": BIG}]},
    ],
    "tools": [{"name": "f", "input_schema": json.loads(SCHEMA)}],
}
RESPONSES: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": BIG},
        {"type": "function_call_output", "call_id": "c", "output": BIG},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": json.loads(SCHEMA)}],
}
SENT: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/chat/completions": (CHAT, "messages[1]: $.id, tools[0].function.parameters: $.properties.n.maximum"),
    "/v1/messages": (MESSAGES, "messages[1]: $.id, tools[0].input_schema: $.properties.n.maximum"),
    "/v1/responses": (RESPONSES, "input[1]: $.id, tools[0].parameters: $.properties.n.maximum"),
}


@pytest.fixture(scope="module")
async def shared_strict(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs whose owner refuses what would be altered."""
    async with Stack(shared_upstream.url, settings={"REJECT_UNSUPPORTED_PARAMS": "true"}, pool_size=0) as stack:
        yield stack


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", SENT)
async def test_altered_values_are_named_in_a_header(stack: Stack, upstream: Upstream, path: str, stream: Any):
    """And the answer is given."""
    body, places = SENT[path]
    response = await stack.client.post(path, json={"model": "sonnet", "stream": stream, **body})
    assert response.status_code == 200, response.text
    assert response.headers[HEADER] == places


async def test_where_nothing_is_altered_there_is_no_header(stack: Stack, upstream: Upstream):
    """Long numbers in texts are not."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": BIG}]}
    assert HEADER not in (await stack.client.post("/v1/chat/completions", json=body)).headers


@pytest.mark.parametrize("path", SENT)
async def test_strict_settings_refuse_altered_values_by_location(shared_strict: Stack, upstream: Upstream, path: str):
    """Before the model is asked."""
    response = await shared_strict.client.post(path, json={"model": "sonnet", **SENT[path][0]})
    assert response.status_code == 400
    assert "`$.id` would be altered" in response.text
    if path != "/v1/messages":
        assert parse_error(response)["param"] in {"messages[1]", "input[1]"}
    assert not upstream.requests


HOSTILE: dict[str, Any] = {
    "references that branch": {
        "$defs": {**{f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}, "d30": {}},
        "allOf": [{"$ref": "#/$defs/d0"}],
    },
    "a pattern that repeats repetitions": {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}},
    "repetitions without end": {"type": "object", "properties": {"a": {"pattern": "a{1,4294967295}"}}},
    "a class of a whole plane": {"type": "object", "properties": {"a": {"pattern": "[\u0100-\uffff]" * 5000}}},
}


@pytest.mark.parametrize("strict", [False, True], ids=["free", "strict"])
@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_schema_neither_hangs_nor_breaks_the_api(
    stack: Stack, upstream: Upstream, schema: dict[str, Any], strict: Any
):
    """It is taken or refused with its place, and everybody else is answered."""
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}}
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    response = await stack.client.post("/v1/chat/completions", json=body)
    assert response.status_code in {200, 400}, response.text
    if response.status_code == 400:
        assert parse_error(response)["code"] == "invalid_schema"
        assert parse_error(response)["param"].startswith("tools[0].function.parameters")
    assert (await stack.client.get("/health/live")).status_code == 200


async def test_a_number_that_the_cli_cannot_hold_reaches_the_model_as_a_string(stack: Stack, upstream: Upstream):
    """With the digits that were meant."""
    response = await stack.client.post("/v1/chat/completions", json={"model": "sonnet", **CHAT})
    assert response.status_code == 200, response.text
    messages = upstream.requests[-1].body["messages"]
    blocks = [block for message in messages if message["role"] == "assistant" for block in message["content"]]
    assert [block["input"] for block in blocks if block["type"] == "tool_use"] == [{"id": "2512292042121000001"}]


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^(a+)+$", "a" * 40 + "!", False),
        ("^(?:(?=a)a|(?=a)aa)+$", "a" * 40 + "!", False),
        (r"^[^\p{Cc}]+$", "naïve", True),
        (r"^(?<year>\d{4})\/\d\d$", "2026/11", True),
    ],
)
async def test_a_strict_call_is_held_against_its_pattern_in_no_time(
    stack: Stack, upstream: Upstream, pattern: str, text: str, fits: Any
):
    """Whatever the pattern and the text are."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}, "required": ["a"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    upstream.script(AnswerReply(tools=[("toolu_1", "f", [json.dumps({"a": text})])]))
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    response = await stack.client.post("/v1/chat/completions", json=body)
    assert response.status_code == (200 if fits else 502), response.text
    if not fits:
        assert parse_error(response)["code"] == "output_validation_failed"
        assert len(parse_error(response)["message"]) < 500
