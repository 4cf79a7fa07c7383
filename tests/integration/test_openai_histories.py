"""Histories as OpenAI's clients really send them reach the model in the order and the form that the service takes."""

import json
from typing import Any

import pytest

from tests.support.calls import build_assistant_message, build_call, build_tool, build_tool_result
from tests.support.chat import Json, parse_error, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

HI: Json = {"role": "user", "content": "hi"}
TOOLS = [build_tool("f")]


def build_message(text: str, role: str = "user") -> Json:
    return {"role": role, "content": text}


def kinds(upstream: Upstream) -> list[tuple[str, list[str]]]:
    """Roles and kinds of blocks of what the model was asked last."""
    return [
        (message["role"], [block["type"] for block in message["content"]])
        for message in upstream.requests[-1].conversation
    ]


def results(upstream: Upstream) -> list[tuple[str, str]]:
    """The results that the model was told, each with the number in the arguments of its call."""
    calls: dict[str, Any] = {}
    found: list[tuple[str, str]] = []
    for message in upstream.requests[-1].conversation:
        for block in message["content"]:
            if block["type"] == "tool_use":
                assert block["id"] not in calls, "an id comes again"
                calls[block["id"]] = json.dumps(block["input"])
            if block["type"] == "tool_result":
                found.append((calls[block["tool_use_id"]], block["content"][0]["text"]))
    return found


@pytest.mark.wire(6)
@pytest.mark.parametrize(
    "after",
    [
        [build_message("one"), build_tool_result("a", "ra"), build_tool_result("b", "rb"), build_message("two")],
        [build_tool_result("b", "rb"), build_message("one"), build_tool_result("a", "ra"), build_message("two")],
        [build_message("one"), build_message("two"), build_tool_result("b", "rb"), build_tool_result("a", "ra")],
    ],
    ids=["after a text", "split around a text", "after all texts"],
)
async def test_results_are_put_behind_their_calls(each_credential_stack: Stack, upstream: Upstream, after: list[Json]):
    """The user's texts follow them, in their own order."""
    messages = [HI, build_assistant_message(build_call("a", "f", '{"n":1}'), build_call("b", "f", '{"n":2}')), *after]
    assert parse_text(await send_chat(each_credential_stack, messages, tools=TOOLS)) == "Hello world!"
    assert kinds(upstream) == [
        ("user", ["text"]),
        ("assistant", ["tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text", "text"]),
    ]
    assert sorted(results(upstream)) == [('{"n": 1}', "ra"), ('{"n": 2}', "rb")]
    last = upstream.requests[-1].conversation[-1]["content"]
    assert [block["text"] for block in last[2:]] == ["one", "two"]


@pytest.mark.wire(52)
async def test_an_item_of_the_users_between_a_call_and_its_output(stack: Stack, upstream: Upstream):
    """Semantic Kernel sends nothing else."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"n":1}'}
    output = {"type": "function_call_output", "call_id": "c1", "output": "r1"}
    sent: Json = {"model": "sonnet", "input": [HI, call, build_message("go on"), output]}
    response = await stack.client.post("/v1/responses", json=sent)
    assert response.status_code == 200, response.text
    assert kinds(upstream) == [("user", ["text"]), ("assistant", ["tool_use"]), ("user", ["tool_result", "text"])]


@pytest.mark.wire(25)
async def test_unreadable_arguments_in_a_history_are_accepted(each_credential_stack: Stack, upstream: Upstream):
    """The model sees what it wrote, and the result that says what was wrong with it."""
    unreadable = ['{"city":"Os', "null", "[]", " ", "{'city': 'Oslo'}", '{"city":"a\tb"}', "1"]
    messages = [HI]
    for number, written in enumerate(unreadable):
        messages += [build_assistant_message(build_call(f"c{number}", "f", written))]
        messages += [build_tool_result(f"c{number}", "invalid JSON"), build_message("again")]
    assert parse_text(await send_chat(each_credential_stack, messages, tools=TOOLS)) == "Hello world!"
    for written, (arguments, result) in zip(unreadable, results(upstream), strict=True):
        assert result == "invalid JSON"
        seen = json.dumps(json.loads(arguments), ensure_ascii=False).replace('\\"', '"').replace("\\t", "\t")
        assert written.strip() in seen


async def test_a_call_that_was_cut_off_is_no_end_by_the_id_of_its_response(stack: Stack, upstream: Upstream):
    """What this server gave out and kept, it takes back."""
    upstream.script(
        AnswerReply(tools=[("toolu_1", "f", ['{"city":"Os'])], stop_reason="max_tokens"), AnswerReply("I see.")
    )
    tool: Json = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    first = (await stack.client.post("/v1/responses", json={"input": "hi", "tools": [tool]})).json()
    assert first["status"] == "incomplete"
    call = first["output"][-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "invalid JSON"}
    sent: Json = {"previous_response_id": first["id"], "input": [output], "tools": [tool]}
    response = await stack.client.post("/v1/responses", json=sent)
    assert response.status_code == 200, response.text
    [(arguments, result)] = results(upstream)
    assert (result, "city" in arguments) == ("invalid JSON", True)


@pytest.mark.wire(3)
async def test_a_system_message_in_the_middle_stays_there(each_credential_stack: Stack, upstream: Upstream):
    """What was cached and thought before it stays what it was."""
    messages = [
        *(
            build_message("Be brief.", "system"),
            HI,
            build_message("yes?", "assistant"),
            build_message("now in French", "developer"),
        ),
        build_message("hello"),
    ]
    assert parse_text(await send_chat(each_credential_stack, messages)) == "Hello world!"
    [received] = upstream.requests
    assert received.system_texts == ["Be brief."]
    sent = json.dumps(received.body["messages"])
    assert sent.index("yes?") < sent.index("now in French")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_a_system_text_alone_is_answered(each_credential_stack: Stack, upstream: Upstream, path: str):
    """It is the user's message: the service takes no request without one."""
    chat: Json = {"messages": [build_message("Write a haiku.", "system")]}
    sent: Json = chat if "chat" in path else {"instructions": "Write a haiku."}
    response = await each_credential_stack.client.post(path, json={"model": "sonnet", **sent})
    assert response.status_code == 200, response.text
    [received] = upstream.requests
    assert received.system_texts == []
    assert received.conversation == [{"role": "user", "content": [{"type": "text", "text": "Write a haiku."}]}]


async def test_a_picture_of_the_assistants_is_refused_before_anything_is_spent(stack: Stack, upstream: Upstream):
    """With its place, and what to do."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    response = await send_chat(stack, [HI, {"role": "assistant", "content": [picture]}, HI])
    assert response.status_code == 400
    assert parse_error(response)["param"].startswith("messages[1].content[0]")
    assert upstream.requests == []


@pytest.mark.wire(53)
async def test_input_tokens_are_estimated_without_the_service(stack: Stack, upstream: Upstream):
    """By the official client; the number is that of count_tokens, and nobody is asked."""
    text = "The quick brown fox jumps over the lazy dog. " * 20
    counted = await stack.openai.responses.input_tokens.count(model="gpt-4o", input=text, instructions="Be brief.")
    assert counted.object == "response.input_tokens"
    messages = {"model": "sonnet", "system": "Be brief.", "messages": [build_message(text)]}
    same = await stack.client.post("/v1/messages/count_tokens", json=messages)
    assert counted.input_tokens == same.json()["input_tokens"]
    assert upstream.requests == []
    raw = await stack.client.post("/v1/responses/input_tokens", json={"input": text, "temperature": 1})
    assert (raw.headers["x-token-count"], raw.headers["x-ignored-parameters"]) == ("estimate", "temperature")
    refused = await stack.client.post("/v1/responses/input_tokens", json={"input": text, "model": "no-such-model"})
    assert refused.status_code == 404
