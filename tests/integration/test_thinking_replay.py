"""Thinking that a client brings back reaches the model as it was given out: the service checks its signature.

Where a test invents thinking, the scripted service does not check it.
"""

from typing import Any

import pytest

from tests.support.scripted.service_thinking import sign
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

type Json = dict[str, Any]

TOOL: Json = {"name": "get_time", "description": "The time.", "input_schema": {"type": "object", "properties": {}}}
CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.\n", "signature": "c2lnbmF0dXJl"}
HIDDEN: Json = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
EMPTY: Json = {**THOUGHT, "thinking": ""}
LOOP = AnswerReply("It is noon.", thinking=("The clock ", "says."))


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def assistant(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def result(words: str = "noon") -> Json:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text(words)]}


async def send_messages(stack: Stack, *messages: Json, **fields: Any) -> Json:
    """The answer to a conversation of Anthropic's messages, with thinking."""
    body = {"model": "sonnet", "max_tokens": 2000, "messages": messages, "tools": [TOOL], **fields}
    response = await stack.client.post("/v1/messages", json={"thinking": {"type": "adaptive"}, **body})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_tool_loop_brings_back_what_was_thought(each_credential_stack: Stack, upstream: Upstream):
    """What the answer held is, sent back as it is, what the model is shown: thinking first, then words, then the call."""
    upstream.script(AnswerReply("I look.", thinking=("Which ", "time?"), tools=[("toolu_1", "get_time", ["{}"])]), LOOP)
    question = user(text("When?"))
    first = await send_messages(each_credential_stack, question)
    assert [block["type"] for block in first["content"]] == ["thinking", "text", "tool_use"]
    back = assistant(*first["content"])
    last = await send_messages(each_credential_stack, question, back, user(result()))
    assert upstream.requests[-1].conversation == [question, back, user(result())]
    assert [block["type"] for block in last["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("model", ["sonnet", "haiku", "claude-opus-4-8", "claude-haiku-4-5", "claude-sonnet-5-5[1m]"])
async def test_it_comes_back_under_any_name_of_a_model(stack: Stack, upstream: Upstream, model: str):
    """The CLI keeps thinking of the model that is asked only, and knows that by its full id."""
    upstream.disable_rules("signatures")
    message = assistant(THOUGHT, text("I look."), CALL)
    await send_messages(stack, user(text("When?")), message, user(result()), model=model)
    assert upstream.requests[-1].conversation[1] == message


@pytest.mark.parametrize(
    "message",
    [
        assistant(HIDDEN, CALL),
        assistant(EMPTY, CALL),
        assistant(THOUGHT, HIDDEN, EMPTY, text("I look."), CALL),
        assistant(THOUGHT, text("I look."), HIDDEN, CALL),
        assistant(THOUGHT, {**CALL, "id": "toolu_0"}, HIDDEN, CALL),
    ],
    ids=["redacted", "without words", "several", "after words", "between calls"],
)
async def test_every_form_comes_back_in_its_place(stack: Stack, upstream: Upstream, message: Json):
    """Redacted, without words, several, between words and calls."""
    upstream.disable_rules("signatures")
    results = [{**result(), "tool_use_id": block["id"]} for block in message["content"] if block["type"] == "tool_use"]
    await send_messages(stack, user(text("When?")), message, user(*results))
    assert upstream.requests[-1].conversation[1:] == [message, user(*results)]


@pytest.mark.parametrize("begins", ["user", "assistant"])
async def test_thinking_of_earlier_turns_comes_back_too(stack: Stack, upstream: Upstream, begins: str):
    """The service decides what it still reads of it; here nothing is left out."""
    upstream.disable_rules("signatures")
    earlier = [user(text("a")), assistant(THOUGHT, text("b")), user(text("c")), assistant(HIDDEN, text("d"))]
    history = [*earlier[begins == "assistant" :], user(text("When?")), assistant(THOUGHT, CALL), user(result())]
    await send_messages(stack, *history)
    assert upstream.requests[-1].conversation == history


async def test_a_message_of_nothing_but_thinking_is_left_out(stack: Stack, upstream: Upstream):
    """As the CLI has it; the words around it stay as they are."""
    await send_messages(stack, user(text("a")), assistant(THOUGHT), user(text("b")))
    assert upstream.requests[-1].conversation == [user(text("a"), text("b"))]


@pytest.mark.parametrize("messages", [[assistant(THOUGHT)], [user(text("a")), assistant(text("b"), THOUGHT)]])
async def test_an_answer_can_not_go_on_from_thinking(stack: Stack, upstream: Upstream, messages: list[Json]):
    """The beginning of an answer ends in words: the service refuses another, so it is refused here."""
    body = {"model": "sonnet", "max_tokens": 2000, "messages": messages}
    response = await stack.client.post("/v1/messages", json=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
    assert not upstream.requests


async def test_a_refused_signature_costs_the_thinking_and_not_the_answer(stack: Stack, upstream: Upstream):
    """The CLI asks once more without it."""
    upstream.script(AnswerReply("It is noon."))
    answer = await send_messages(stack, user(text("When?")), assistant(THOUGHT, CALL), user(result()))
    assert answer["content"][-1] == text("It is noon.")
    assert [request.conversation[1] for request in upstream.requests] == [assistant(THOUGHT, CALL), assistant(CALL)]
    assert upstream.refused == ["signatures"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_time"}], ids=["any", "named"])
async def test_thinking_before_a_call_that_was_demanded_costs_no_answer(
    each_credential_stack: Stack, upstream: Upstream, choice: Json
):
    """It is bound to the demand, which the next request does not hold: the service is asked again without it."""
    upstream.script(AnswerReply(thinking=("Which ", "time?"), tools=[("toolu_1", "get_time", ["{}"])]), LOOP)
    question = user(text("When?"))
    other = {**TOOL, "name": "get_date"}
    first = await send_messages(each_credential_stack, question, tool_choice=choice, tools=[TOOL, other])
    assert [block["type"] for block in first["content"]] == ["thinking", "tool_use"]
    last = await send_messages(
        each_credential_stack, question, assistant(*first["content"]), user(result()), tools=[TOOL, other]
    )
    assert last["content"][-1] == text("It is noon.")
    assert upstream.requests[-1].conversation == [question, assistant(CALL), user(result())]


@pytest.mark.wire(52, 65)
async def test_reasoning_items_bring_it_back(each_credential_stack: Stack, upstream: Upstream):
    """In the Responses API: an item of `reasoning` contains the thinking, sealed, and the model receives it unchanged."""
    upstream.script(AnswerReply(thinking=("Which ", "time?"), tools=[("toolu_1", "get_time", ["{}"])]), LOOP)
    tool = {"type": "function", "name": "get_time", "parameters": TOOL["input_schema"]}
    body = {"model": "sonnet", "tools": [tool], "store": False, "include": ["reasoning.encrypted_content"]}
    question = {"role": "user", "content": "When?"}
    first = (await each_credential_stack.client.post("/v1/responses", json={**body, "input": [question]})).json()
    assert [item["type"] for item in first["output"]] == ["reasoning", "function_call"]
    tool_output = {"type": "function_call_output", "call_id": first["output"][1]["call_id"], "output": "noon"}
    await each_credential_stack.client.post(
        "/v1/responses", json={**body, "input": [question, *first["output"], tool_output]}
    )
    signature = sign(upstream.requests[0].body, "Which time?")
    message = assistant({"type": "thinking", "thinking": "Which time?", "signature": signature}, CALL)
    assert upstream.requests[-1].conversation == [user(text("When?")), message, user(result())]
