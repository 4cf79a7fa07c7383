"""What the CLI alters in a request's JSON is named by its place, or refused."""

import json
from typing import Any

import msgspec
import pytest

from api.conversation.alterations import (
    MAX_SEARCHED_CHARACTERS,
    MORE_NAMES,
    check_alterations,
    describe_places,
    find_altered_places,
)
from api.conversation.parameters import Policy, build_parameter_headers
from api.core.problems import Problem
from api.dialects.anthropic.decode import decode as decode_message
from api.dialects.openai_chat.decode import decode as decode_chat
from api.dialects.openai_responses.decode import decode as decode_response
from api.dialects.openai_responses.store import ResponseStore

BIG = '{"id":2512292042121000001,"city":"Oslo"}'
SCHEMA = '{"type":"object","properties":{"n":{"maximum":9223372036854775807}}}'
PLAIN = '{"id":"2512292042121000001","one":1,"2 b":3}'


def chat(arguments: str = PLAIN, schema: str = "{}", **more: Any) -> bytes:
    call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "1.0 and 2512292042121000001"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": BIG},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": msgspec.Raw(schema.encode())}}]
    return msgspec.json.encode({"messages": messages, "tools": tools, **more})


def answer_format(schema: str) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": msgspec.Raw(schema.encode())}}


def test_of_a_chat_its_calls_tools_and_the_answers_schema_are_named():
    """Texts are never altered, though they look like numbers."""
    sent = chat(BIG, SCHEMA, response_format=answer_format('{"type":"object","minProperties":1.0}'))
    assert decode_chat(sent, Policy()).list_altered_places(strict=False) == (
        "messages[1]: $.id",
        "tools[0].function.parameters: $.properties.n.maximum",
        "response_format: $.minProperties",
    )
    assert decode_chat(chat(), Policy(strict=True)).list_altered_places(strict=True) == ()


@pytest.mark.parametrize("arguments", ['{"id":2512292042121000001', "{'id':1.0}", '{"a":1.0}{"a":1.0}'])
def test_arguments_that_nobody_can_read_are_not_altered(arguments: str):
    """They travel as a text."""
    assert find_altered_places([("messages[0]", arguments)]) == ()


def test_of_other_shapes_of_tools_the_place_is_the_clients():
    """Legacy functions, flat tools, Anthropic's."""
    raw = msgspec.Raw(SCHEMA.encode())
    for tools, where in (
        ({"functions": [{"name": "f", "parameters": raw}]}, "functions[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "parameters": raw}]}, "tools[0].parameters"),
        ({"tools": [{"name": "f", "input_schema": raw}]}, "tools[0].input_schema"),
    ):
        sent = msgspec.json.encode({"messages": [{"role": "user", "content": "hi"}], **tools})
        assert decode_chat(sent, Policy()).list_altered_places(strict=False) == (f"{where}: $.properties.n.maximum",)


def test_of_a_message_its_calls_tools_and_the_answers_schema_are_named():
    """By Anthropic's names for them."""
    raw = msgspec.Raw(SCHEMA.encode())
    body = {
        "max_tokens": 10,
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "f", "input": msgspec.Raw(BIG.encode())}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
        ],
        "tools": [{"name": "f", "input_schema": raw}],
        "output_config": {"format": {"type": "json_schema", "schema": raw}},
    }
    assert decode_message(msgspec.json.encode(body), Policy()).list_altered_places(strict=False) == (
        "messages[1]: $.id",
        "tools[0].input_schema: $.properties.n.maximum",
        "output_config.format: $.properties.n.maximum",
    )


def test_of_a_response_its_calls_tools_and_the_answers_schema_are_named():
    """In namespaces too."""
    raw = msgspec.Raw(SCHEMA.encode())
    body = {
        "input": [
            {"role": "user", "content": "hi"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": BIG},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {}},
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g", "parameters": raw}]},
        ],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": raw}},
    }
    call = decode_response(msgspec.json.encode(body), Policy(), ResponseStore(0, 0, 0).for_key("me"))
    assert call.list_altered_places(strict=False) == (
        "input[1]: $.id",
        "tools[1].tools[0].parameters: $.properties.n.maximum",
        "text.format: $.properties.n.maximum",
    )


def test_a_strict_owner_refuses_what_would_be_altered():
    """The first of it, with its place, the setting, and what to do."""
    with pytest.raises(Problem) as caught:
        decode_chat(chat(BIG, SCHEMA), Policy()).list_altered_places(strict=True)
    refused = caught.value
    assert (refused.status, refused.code, refused.param) == (400, "unsupported_parameter", "messages[1]")
    assert "`messages[1]`: `$.id` would be altered" in refused.message
    assert "REJECT_UNSUPPORTED_PARAMS" in refused.message
    assert "as strings" in refused.message


def test_a_header_names_so_many_places_and_then_that_there_are_others():
    """It is short, and in ASCII, whatever the names in the request are."""
    odd = json.dumps({"é\n, " * 50: {f"naïve {n}" * 20: 1.5 for n in range(9)}}).replace("1.5", "1.0")
    places = find_altered_places([("messages[0]", odd), ("messages[1]", BIG)])
    header = build_parameter_headers((), describe_places(places))["x-altered-parameters"]
    assert header.endswith(f", {MORE_NAMES}")
    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 1024
    exactly = [(f"messages[{n}]", "[1.0]") for n in range(8)]
    assert describe_places(find_altered_places(exactly)) == tuple(f"messages[{n}]: $[0]" for n in range(8))
    assert describe_places(find_altered_places([*exactly, ("x", "[1.0]")]))[-1] == MORE_NAMES


def test_beyond_what_is_searched_nothing_is_silent():
    """A history that no model's context holds."""
    long = '{"a":"' + "x" * MAX_SEARCHED_CHARACTERS + '"}'
    assert find_altered_places([("messages[0]", long), ("messages[1]", "{}")]) == (
        ("messages[0]", "$"),
        ("messages[1]", "$"),
    )


def test_nothing_altered_is_no_header():
    """And no refusal."""
    assert build_parameter_headers((), check_alterations((), strict=True)) == {}
    assert build_parameter_headers(("seed",)) == {"x-ignored-parameters": "seed"}


def test_a_body_in_another_shape_keeps_its_json():
    """As Cursor posts it: what stands in its place anyway is not decoded and encoded again."""
    raw = msgspec.Raw(b'{"properties":{"n":{"const":0.1000000000000000055}}}')
    body = {
        "system": "s",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "f", "input_schema": raw}],
    }
    call = decode_chat(msgspec.json.encode(body), Policy())
    assert call.tool_set.tools[0].schema == bytes(raw).decode()
    assert call.list_altered_places(strict=False) == ("tools[0].input_schema: $.properties.n.const",)


@pytest.mark.parametrize("number", ["1e400", "-1e999999", "9" * 5000])
def test_a_number_that_no_program_here_can_hold_is_refused_with_its_place(number: str):
    """Where JSON is read as values; in arguments, which are a text, it is carried."""
    schema = '{"properties":{"a":[{"const":1},{"maximum":NUMBER}]}}'.replace("NUMBER", number)
    with pytest.raises(Problem) as caught:
        decode_chat(chat(schema=schema), Policy())
    assert caught.value.param == "tools[0].function.parameters.properties.a[1].maximum"
    assert "write it as a string" in caught.value.message
    call = decode_chat(chat(arguments=f'{{"n":{number}}}'), Policy())
    assert call.list_altered_places(strict=False) == ("messages[1]: $.n",)
