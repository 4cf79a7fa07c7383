"""What clients of Anthropic's messages send and get that this server did not choose: thinking, values and blocks to come."""

from typing import Any

import pytest

from tests.integration.test_messages import PATH, Json, body, events_of, text
from tests.support.scripted.upstream import AnswerReply, ErrorReply, Upstream
from tests.support.stack import Stack

TOOL: Json = {"name": "get_time", "description": "The time.", "input_schema": {"type": "object", "properties": {}}}
CALLS = AnswerReply("I look.", thinking=("Which ", "time?"), tools=[("toolu_1", "get_time", ["{}"])])


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def result(words: str = "noon") -> Json:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": [text(words)]}


async def test_thinking_that_nobody_asked_for_comes_without_words_and_goes_back(
    each_credential_stack: Stack, upstream: Upstream
):
    """In a tool loop of a client that says nothing of thinking, streamed and whole; the model reads it again."""
    upstream.script(CALLS)
    request = body(text("When?"), tools=[TOOL])
    events = events_of(await each_credential_stack.client.post(PATH, json={**request, "stream": True}))
    block_starts = [(event["index"], event["content_block"]["type"]) for event in events if "content_block" in event]
    assert block_starts == [(0, "thinking"), (1, "text"), (2, "tool_use")]
    [signed] = [event["delta"] for event in events if event.get("index") == 0 and "delta" in event]
    assert (signed["type"], bool(signed["signature"])) == ("signature_delta", True)
    first = (await each_credential_stack.client.post(PATH, json=request)).json()
    assert first["content"][0] == {"type": "thinking", "thinking": "", "signature": signed["signature"]}
    upstream.script(AnswerReply("It is noon.", thinking=""))
    history = [user([text("When?")]), assistant(*first["content"]), user([result()])]
    last = await each_credential_stack.client.post(PATH, json=body(tools=[TOOL], messages=history))
    assert [block["type"] for block in last.json()["content"]] == ["thinking", "text"]
    # Asked once: a service that refused the thinking would be asked again without it.
    assert [request.conversation for request in upstream.requests[2:]] == [history]


async def test_thinking_that_is_turned_off_is_not_given_out(stack: Stack, upstream: Upstream):
    """The answer begins with its words, as such a client expects."""
    upstream.script(AnswerReply("Noon.", thinking="Hm."))
    answer = await stack.client.post(PATH, json=body(text("When?"), thinking={"type": "disabled"}))
    assert answer.json()["content"] == [text("Noon.")]


@pytest.mark.wire(73)
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"thinking": {"type": "adaptive", "display": "updates"}}, "thinking.display"),
        ({"thinking": {"type": "adaptive", "display": "highlights"}}, "thinking.display"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
        ({"tools": [TOOL, {"type": "telepathy_20301231"}]}, "tools.telepathy_20301231"),
    ],
)
async def test_a_value_to_come_is_answered_and_named(stack: Stack, upstream: Upstream, fields: Json, named: str):
    """Counting its tokens is no reason to refuse it either."""
    upstream.script(AnswerReply("Noon.", thinking="Hm."))
    request = body(text("When?"), **fields)
    response = await stack.client.post(PATH, json=request)
    assert (response.status_code, response.headers["x-ignored-parameters"]) == (200, named)
    assert response.json()["content"][-1] == text("Noon.")
    assert (await stack.client.post(f"{PATH}/count_tokens", json=request)).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stop_reason_of_the_services_comes_through(stack: Stack, upstream: Upstream, *, stream: bool):
    """By its own word, though the other dialects have none for it."""
    upstream.script(AnswerReply("Half of", stop_reason="model_context_window_exceeded"))
    response = await stack.client.post(PATH, json=body(text("When?"), stream=stream))
    end = events_of(response)[-2]["delta"] if stream else response.json()
    assert end["stop_reason"] == "model_context_window_exceeded"


async def test_a_system_message_reaches_the_model_in_its_place(each_credential_stack: Stack, upstream: Upstream):
    """What was said before it is the prefix that it was in the request before."""
    history = [user([text("a")]), assistant(text("b")), user([text("c")])]
    await each_credential_stack.client.post(PATH, json=body(system="First.", messages=history))
    before = upstream.requests[-1]
    instruction = {"role": "system", "content": [text("Be brief.")]}
    await each_credential_stack.client.post(PATH, json=body(system="First.", messages=[*history, instruction]))
    after = upstream.requests[-1]
    assert after.conversation == before.conversation
    assert after.body["system"] == before.body["system"]
    assert any("Be brief." in str(message) for message in after.body["messages"] if message["role"] == "system")


async def test_unreadable_arguments_and_their_result_reach_the_model(each_credential_stack: Stack, upstream: Upstream):
    """A conversation goes on after a call that was cut off."""
    cut = '{"city":"Os'
    message = assistant({"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": cut})
    request = body(tools=[TOOL], messages=[user("When?"), message, user([result("invalid JSON")])])
    response = await each_credential_stack.client.post(PATH, json=request)
    assert response.status_code == 200, response.text
    _, call, tool_results = upstream.requests[-1].conversation
    assert "Os" in str(call)
    assert "invalid JSON" in str(tool_results)


async def test_a_summary_reaches_the_model_and_marks_are_named(stack: Stack, upstream: Upstream):
    """A history that was made at the vendor's goes on here."""
    marks = [
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
        {"type": "compaction", "content": None},
    ]
    message = assistant({"type": "compaction", "content": "They spoke of Bern."}, *marks, text("Yes."))
    response = await stack.client.post(PATH, json=body(messages=[user("When?"), message, user("Go on.")]))
    assert response.status_code == 200, response.text
    named = "messages.content.fallback, messages.content.compaction"
    assert response.headers["x-ignored-parameters"] == named
    assert upstream.requests[-1].conversation[1] == assistant(text("They spoke of Bern."), text("Yes."))


async def test_the_services_word_on_max_tokens_reaches_the_client(stack: Stack, upstream: Upstream):
    """With the field, the limit and the model."""
    sentence = "max_tokens: 900000 > 128000, which is the maximum allowed number of output tokens for claude-sonnet-5-5"
    upstream.script(ErrorReply(400, "invalid_request_error", sentence))
    response = await stack.client.post(PATH, json={**body(text("When?")), "max_tokens": 900_000})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
    assert sentence in response.json()["error"]["message"]


async def test_what_only_warms_the_cache_is_refused_with_the_way_round(stack: Stack, upstream: Upstream):
    """Nothing is asked of the model."""
    response = await stack.client.post(PATH, json={**body(text("When?")), "max_tokens": 0})
    assert response.status_code == 400
    assert "`max_tokens`" in response.json()["error"]["message"]
    assert not upstream.requests


async def test_a_document_inside_is_not_fetched(stack: Stack, upstream: Upstream):
    """Its place is named, and nothing of what is there."""
    source = {"type": "url", "url": upstream.url}
    response = await stack.client.post(PATH, json=body({"type": "document", "source": source}))
    assert response.status_code == 400
    assert "messages[0].content[0].source" in response.json()["error"]["message"]
    assert not upstream.others
