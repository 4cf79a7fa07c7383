"""What clients send reaches the model as it is, also where the CLI or the service would not take it so."""

import json
import zlib
from typing import Any

from tests.support.calls import (
    build_assistant_message,
    build_call,
    build_tool,
    build_tool_result,
    collect_calls,
    list_calls,
)
from tests.support.chat import CHAT_PATH, Json, collect_chunks, parse_error, parse_text, send_chat
from tests.support.generated.conversation import Picture
from tests.support.generated.dialects import chat_part
from tests.support.scripted.upstream import AnswerReply, ErrorReply, ReceivedRequest, Upstream
from tests.support.stack import Stack


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def noise(width: int, height: int) -> bytes:
    """A picture of grey noise that does not compress."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    rows = b"".join(b"\0" + bytes((x * x * 31 + y * 17 + x * y) % 251 for x in range(width)) for y in range(height))
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


def block_of(received: ReceivedRequest, kind: str) -> list[Json]:
    """The blocks of one type in the conversation."""
    return [block for message in received.conversation for block in message["content"] if block["type"] == kind]


async def test_ids_that_come_again_in_each_turn_stay_with_their_results(
    each_credential_stack: Stack, upstream: Upstream
):
    """Many local clients number calls from 0 in each turn."""
    messages: list[Json] = []
    for turn in range(3):
        messages += [user(f"q{turn}"), build_assistant_message(build_call("call_0", "f", json.dumps({"n": turn})))]
        messages += [build_tool_result("call_0", f"r{turn}"), {"role": "assistant", "content": f"a{turn}"}]
    assert parse_text(await send_chat(each_credential_stack, [*messages, user("last")], tools=[build_tool("f")]))
    [received] = upstream.requests
    uses, results = block_of(received, "tool_use"), block_of(received, "tool_result")
    assert [use["input"] for use in uses] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [back["content"][0]["text"] for back in results] == ["r0", "r1", "r2"]
    assert [use["id"] for use in uses] == [back["tool_use_id"] for back in results]
    assert len({use["id"] for use in uses}) == 3


async def test_words_behind_a_call_stay_behind_it(each_credential_stack: Stack, upstream: Upstream):
    """The order of an assistant's blocks is the client's."""
    content = [{"type": "tool_use", "id": "a", "name": "f", "input": {}}, {"type": "text", "text": "after"}]
    back = [{"type": "tool_result", "tool_use_id": "a", "content": "r"}]
    body = {
        "model": "sonnet",
        "max_tokens": 100,
        "messages": [user("hi"), {"role": "assistant", "content": content}, user(back)],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }
    assert (await each_credential_stack.client.post("/v1/messages", json=body)).status_code == 200
    [received] = upstream.requests
    assert [block["type"] for block in received.conversation[1]["content"]] == ["tool_use", "text"]


async def test_pictures_arrive_byte_for_byte(each_credential_stack: Stack, upstream: Upstream):
    """In the question, in earlier turns and in results, those of failed calls too; of any size."""
    sent = [chat_part(Picture("image/png", noise(*size))) for size in ((1600, 340), (2001, 20), (64, 64))]
    failed = [{"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": sent}]
    messages = [user(sent), build_assistant_message(build_call("a", "f")), user(failed), user(sent)]
    assert parse_text(await send_chat(each_credential_stack, messages, tools=[build_tool("f")]))
    [received] = upstream.requests
    for part in sent:
        assert json.dumps(received.conversation).count(part["image_url"]["url"].partition(",")[2]) == 3


PROPERTY_NAMES = ["$top", "a b", "ünï", "__proto__", "x" * 70, "", "constructor", "1"]


async def test_properties_of_any_name_are_offered_and_come_back(each_credential_stack: Stack, upstream: Upstream):
    """The model sees names that the service accepts; the client gets its own, streamed and not, and in its history."""
    schema: Json = {"type": "object", "required": PROPERTY_NAMES}
    schema["properties"] = {name: {"type": "integer"} for name in PROPERTY_NAMES} | {"plain": {}}
    numbers = {name: number for number, name in enumerate(PROPERTY_NAMES)}

    def fill(received: ReceivedRequest) -> AnswerReply:
        [tool] = received.body["tools"]
        required = tool["input_schema"]["required"]
        assert set(tool["input_schema"]["properties"]) == {*required, "plain"}
        values = {name: number for number, name in enumerate(required)}
        return AnswerReply(tools=[("toolu_1", tool["name"], [json.dumps({**values, "plain": 1})])])

    upstream.script(fill)
    history = [
        user("hi"),
        build_assistant_message(build_call("a", "f", json.dumps(numbers))),
        build_tool_result("a", "r"),
    ]
    tools = [build_tool("f", schema)]
    [(_, _, arguments)] = list_calls(await send_chat(each_credential_stack, history, tools=tools))
    assert json.loads(arguments) == {**numbers, "plain": 1}
    [(_, _, pieces)] = collect_calls(await collect_chunks(each_credential_stack, history, tools=tools))
    assert json.loads(pieces) == {**numbers, "plain": 1}
    [use] = block_of(upstream.requests[0], "tool_use")
    required = upstream.requests[0].body["tools"][0]["input_schema"]["required"]
    assert len(required) == len(PROPERTY_NAMES)
    assert use["input"] == {name: number for number, name in enumerate(required)}


ROOT_UNIONS: dict[str, Json] = {
    "any_of": {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {}, "b": {}}},
    "one_of": {"oneOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"type": "object"}]},
    "all_of": {"type": "object", "allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": {"properties": {"a": {}}}}},
}


async def test_tools_with_a_union_at_the_root_are_offered_and_called(each_credential_stack: Stack, upstream: Upstream):
    """Their schemas are wrapped in an object, since the service refuses them; the client gets unwrapped arguments."""

    def fill(received: ReceivedRequest) -> AnswerReply:
        calls: list[tuple[str, str, list[str]]] = []
        for tool in received.body["tools"]:
            offered = tool["input_schema"]
            assert offered["type"] == "object"
            assert not {"anyOf", "oneOf", "allOf"} & set(offered)
            [wrapper] = offered["required"]
            calls.append((f"toolu_{tool['name']}", tool["name"], [json.dumps({wrapper: {"a": 1}})]))
        return AnswerReply(tools=calls)

    upstream.script(fill)
    history = [user("hi")]
    for name in ROOT_UNIONS:
        history += [build_assistant_message(build_call(name, name, '{"b": 2}')), build_tool_result(name, "r")]
    tools = [build_tool(name, root) for name, root in ROOT_UNIONS.items()]
    calls = list_calls(await send_chat(each_credential_stack, history, tools=tools))
    assert {name: json.loads(arguments) for _, name, arguments in calls} == {name: {"a": 1} for name in ROOT_UNIONS}
    uses = block_of(upstream.requests[0], "tool_use")
    assert [list(use["input"].values()) for use in uses] == [[{"b": 2}]] * len(ROOT_UNIONS)


async def test_json_with_line_breaks_between_its_tokens_is_the_same(each_credential_stack: Stack, upstream: Upstream):
    """Of a body, a tool's schema, an answer's schema, a call's arguments; carriage returns too."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    history = [
        user("hi"),
        build_assistant_message(build_call("a", "f", '{\r\n "city":\n\t"Paris"\n}')),
        build_tool_result("a", "r"),
    ]
    body: Json = {"model": "sonnet", "messages": history, "tools": [build_tool("f", schema)]}
    sent = json.dumps(body, indent=2).replace("\n", "\r\n")
    response = await each_credential_stack.client.post(
        CHAT_PATH, content=sent, headers={"content-type": "application/json"}
    )
    assert response.status_code == 200, response.text
    [received] = upstream.requests
    [use] = block_of(received, "tool_use")
    assert use["input"] == {"city": "Paris"}
    assert received.body["tools"][0]["input_schema"] == schema
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    upstream.script(AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{\n "city": "Rome"\n}'])]))
    sent = json.dumps({**body, "response_format": form}, indent=1)
    response = await each_credential_stack.client.post(
        CHAT_PATH, content=sent, headers={"content-type": "application/json"}
    )
    assert response.json()["choices"][0]["message"]["content"] == '{\n "city": "Rome"\n}'


async def test_half_a_surrogate_pair_in_a_call_is_a_call(each_credential_stack: Stack, upstream: Upstream):
    """It is valid JSON; and it goes back to the model as it came."""
    arguments = '{"a":"x \\ud83d y"}'
    upstream.script(AnswerReply(tools=[("toolu_1", "f", [arguments])]))
    assert list_calls(await send_chat(each_credential_stack, tools=[build_tool("f")])) == [("toolu_1", "f", arguments)]
    history = [
        user("hi"),
        build_assistant_message(build_call("toolu_1", "f", arguments)),
        build_tool_result("toolu_1", "r"),
    ]
    upstream.script(AnswerReply("Well."))
    assert parse_text(await send_chat(each_credential_stack, history, tools=[build_tool("f")])) == "Well."


async def test_a_limit_over_the_models_own_is_the_services_to_refuse(each_credential_stack: Stack, upstream: Upstream):
    """It is neither lowered nor dropped, and the service's sentence reaches the client."""
    upstream.script(ErrorReply(400, "invalid_request_error", "max_tokens: 999999 > 128000, which is the maximum"))
    response = await send_chat(each_credential_stack, max_tokens=999_999)
    assert response.status_code == 400
    assert "max_tokens" in parse_error(response)["message"]
    assert upstream.requests[0].body["max_tokens"] == 999_999


async def test_thinking_that_the_service_does_not_accept_back_is_left_out(
    each_credential_stack: Stack, upstream: Upstream
):
    """It is bound to what stands before it; the question is answered all the same."""
    upstream.script(AnswerReply("Well."))
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    body = {
        "model": "sonnet",
        "max_tokens": 100,
        "messages": [user("hi"), {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]}, user("b")],
    }
    response = await each_credential_stack.client.post("/v1/messages", json=body)
    assert response.status_code == 200
    first, second = upstream.requests
    assert [block["type"] for block in first.conversation[1]["content"]] == ["thinking", "text"]
    assert [block["type"] for block in second.conversation[1]["content"]] == ["text"]
