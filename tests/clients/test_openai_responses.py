"""The official `openai` client takes the server for the service it knows, by the Responses API too."""

from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from tests.support.chat import Json
from tests.support.scripted.upstream import AnswerReply, ErrorReply, ReceivedRequest, Reply, StalledReply, Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

PATH = "/v1/responses"
CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: FunctionToolParam = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
PARIS = ("toolu_1", "get_weather", ['{"city": ', '"Paris"}'])


class Recipe(BaseModel):
    """What a structured answer is read as."""

    name: str
    minutes: int


@pytest.mark.wire(50, 61, 70)
async def test_an_answer(stack: Stack, upstream: Upstream):
    """With its text and its tokens."""
    upstream.script(AnswerReply(("Hello", " you"), input=10, output=5, cache_read=4, cache_write=2))
    answer = await stack.openai.responses.create(model="gpt-4o", instructions="Be brief.", input="hi")
    assert (answer.output_text, answer.status, answer.id[:5]) == ("Hello you", "completed", "resp_")
    assert answer.usage
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (16, 5, 21)
    assert answer.usage.input_tokens_details.cached_tokens == 4
    [received] = upstream.requests
    assert "Be brief." in received.system_texts[-1]


@pytest.mark.wire(51, 61)
async def test_a_stream_by_the_helper(stack: Stack, upstream: Upstream):
    """Its deltas are the text; its end is the whole response."""
    upstream.script(AnswerReply(("Hel", "lo"), thinking=("Hm", ".")))
    async with stack.openai.responses.stream(model="sonnet", input="hi", reasoning={"summary": "auto"}) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed"
    assert "response.reasoning_summary_text.delta" in kinds
    assert final.output_text == "Hello"
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.wire(13, 61)
async def test_a_structured_answer_by_parse(stack: Stack, upstream: Upstream):
    """As the class that it was asked for."""
    upstream.script(AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{"name": "x", "minutes": 3}'])]))
    answer = await stack.openai.responses.parse(model="sonnet", input="a recipe", text_format=Recipe)
    assert answer.output_parsed == Recipe(name="x", minutes=3)


@pytest.mark.wire(52, 61)
async def test_a_tool_loop_by_the_id_of_the_response_before(stack: Stack, upstream: Upstream):
    """The second request has the result only; the model gets the whole conversation."""
    upstream.script(AnswerReply("I look.", tools=[PARIS]), AnswerReply("Sunny."))
    first = await stack.openai.responses.create(model="sonnet", input="Weather in Paris?", tools=[WEATHER])
    call = first.output[-1]
    assert call.type == "function_call"
    assert (call.name, call.arguments, call.call_id) == ("get_weather", '{"city": "Paris"}', "toolu_1")
    second = await stack.openai.responses.create(
        model="sonnet",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sun"}],
        tools=[WEATHER],
    )
    assert (second.output_text, second.previous_response_id) == ("Sunny.", first.id)
    conversation = upstream.requests[-1].conversation
    kinds = [[block["type"] for block in message["content"]] for message in conversation]
    assert kinds == [["text"], ["thinking", "text", "tool_use"], ["tool_result"]]


@pytest.mark.wire(52, 65)
async def test_a_tool_loop_by_sending_everything(stack: Stack, upstream: Upstream):
    """Thoughts go back as they came out, and nothing is kept."""
    upstream.script(AnswerReply("I look.", thinking="Hm.", tools=[PARIS]), AnswerReply("Sunny."))
    ask: dict[str, Any] = {
        "model": "sonnet",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [WEATHER],
    }
    first = await stack.openai.responses.create(input="Weather in Paris?", **ask)
    history = [item.model_dump(exclude_none=True) for item in first.output]
    result = {"type": "function_call_output", "call_id": "toolu_1", "output": [{"type": "input_text", "text": "sun"}]}
    everything: Any = [{"role": "user", "content": "Weather in Paris?"}, *history, result]
    second = await stack.openai.responses.create(input=everything, **ask)
    assert second.output_text == "Sunny."
    with pytest.raises(openai.NotFoundError) as caught:
        await stack.openai.responses.retrieve(first.id)
    assert caught.value.code == "response_not_found"


async def test_a_response_that_is_kept(stack: Stack, upstream: Upstream):
    """It is given again as it was, with the items that it answers, until it is deleted."""
    first = await stack.openai.responses.create(model="sonnet", input="one")
    second = await stack.openai.responses.create(model="sonnet", input="two", previous_response_id=first.id)
    assert (await stack.openai.responses.retrieve(second.id)).model_dump() == second.model_dump()
    items = [item async for item in stack.openai.responses.input_items.list(second.id, order="asc", limit=2)]
    assert [item.type for item in items] == ["message", "reasoning", "message", "message"]
    assert len({item.id for item in items}) == 4
    with pytest.raises(openai.BadRequestError) as refused:
        await stack.openai.responses.cancel(second.id)
    assert refused.value.code == "not_cancellable"
    await stack.openai.responses.delete(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        await stack.openai.responses.create(model="sonnet", input="three", previous_response_id=first.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    again = await stack.openai.responses.create(model="sonnet", input="three", previous_response_id=second.id)
    assert again.status == "completed"
    assert len(upstream.requests[-1].conversation) == 5


async def test_one_in_the_background(stack: Stack, upstream: Upstream):
    """Asked for, looked up, cancelled; and its stream followed by the client's own means."""
    upstream.script(StalledReply(("one ",)))
    response = await stack.openai.responses.create(model="sonnet", input="hi", background=True)
    assert response.status == "queued"
    await upstream.wait_until(lambda: bool(upstream.held))
    assert (await stack.openai.responses.cancel(response.id)).status == "cancelled"
    assert (await stack.openai.responses.retrieve(response.id)).status == "cancelled"
    upstream.script(AnswerReply(("one ", "two")))
    stream = await stack.openai.responses.create(model="sonnet", input="hi", background=True, stream=True)
    seen = [event async for event in stream]
    again = await stack.openai.responses.retrieve(
        seen[-1].response.id if seen[-1].type == "response.completed" else "", stream=True, starting_after=3
    )
    assert [event async for event in again] == seen[4:]


async def test_an_item_may_be_sent_by_its_id(stack: Stack, upstream: Upstream):
    """As the AI SDK does with what it believes to be kept."""
    first = await stack.openai.responses.create(model="sonnet", input="one")
    assert first.output[-1].id
    await stack.openai.responses.create(
        model="sonnet",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "one"}]},
            {"type": "item_reference", "id": first.output[-1].id},
            {"role": "user", "content": [{"type": "input_text", "text": "two"}]},
        ],
    )
    assert [message["role"] for message in upstream.requests[-1].conversation] == ["user", "assistant", "user"]
    with pytest.raises(openai.BadRequestError) as caught:
        await stack.openai.responses.create(model="sonnet", input=[{"type": "item_reference", "id": "msg_9"}])
    assert caught.value.code == "item_not_found"


async def test_a_failure_is_an_error_before_the_stream(stack: Stack, upstream: Upstream):
    """With the status and code that the client acts on."""
    upstream.script(ErrorReply(401, "authentication_error"))
    with pytest.raises(openai.InternalServerError) as caught:
        await stack.openai.responses.create(model="sonnet", input="hi", stream=True)
    assert caught.value.code == "credential_refused"


@pytest.mark.wire(71)
async def test_what_codex_sends_is_answered(stack: Stack, upstream: Upstream):
    """Its hosted tool is dropped by name; a tool of a namespace is offered, and called back by both names."""

    def call(received: ReceivedRequest) -> Reply:
        [_, name] = [tool["name"] for tool in received.body["tools"]]
        return AnswerReply(tools=[("toolu_1", name, ['{"path": "a"}'])])

    upstream.script(call)
    path: Json = {"type": "object", "properties": {"path": {"type": "string"}}}
    body: Json = {
        "model": "sonnet",
        "instructions": "You are Codex.",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Read a."}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
        ],
        "tools": [
            {"type": "custom", "name": "apply_patch", "description": "Patch.", "format": {"type": "grammar"}},
            {
                "type": "namespace",
                "name": "mcp__files",
                "tools": [{"type": "function", "name": "read", "parameters": path}],
            },
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"x": "y"},
        "text": {"verbosity": "low"},
    }
    response = await stack.client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["x-ignored-parameters"] == "tools.web_search, tools.custom.format, text.verbosity"
    [item] = [item for item in response.json()["output"] if item["type"] == "function_call"]
    assert (item["name"], item["namespace"], item["arguments"]) == ("read", "mcp__files", '{"path": "a"}')


@pytest.mark.wire(72)
async def test_a_websocket_is_turned_down_at_once(stack: Stack):
    """426 for those that try one, 405 for a plain GET."""
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    async with httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client:
        tried = await client.get(PATH, headers=upgrade)
        plain = await client.get(PATH)
    assert (tried.status_code, tried.json()["error"]["code"]) == (426, "upgrade_required")
    assert (plain.status_code, plain.json()["error"]["code"]) == (405, "method_not_allowed")
    assert plain.headers["allow"] == "POST"


async def test_a_forced_tool_of_the_vendors_is_refused(stack: Stack):
    """Nobody waits for a search that can't come."""
    with pytest.raises(openai.BadRequestError) as caught:
        await stack.openai.responses.create(
            model="sonnet", input="hi", tools=[{"type": "web_search"}], tool_choice={"type": "web_search_preview"}
        )
    assert (caught.value.param, caught.value.code) == ("tool_choice", "unsupported_parameter")
