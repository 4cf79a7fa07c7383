"""The official `anthropic` client takes the server for the service it knows."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import anthropic
import pytest
from anthropic import beta_async_tool
from pydantic import BaseModel

from tests.support.scripted.upstream import AnswerReply, ErrorReply, Upstream
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT

HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(stack: Stack) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """The client, which does not try again by itself."""
    async with anthropic.AsyncAnthropic(
        base_url=stack.url, api_key=API_KEY, max_retries=0, timeout=TEST_TIMEOUT
    ) as client:
        yield client


@pytest.mark.wire(63, 53)
async def test_an_answer(client: anthropic.AsyncAnthropic, upstream: Upstream):
    """With its text, its reason, its tokens and the request's id."""
    upstream.script(AnswerReply(("Hello", " you"), input=10, output=5, cache_read=4, cache_write=2))
    answer = await client.messages.create(model="sonnet", max_tokens=50, messages=HI, system="Be brief.")
    thought, block = answer.content
    assert (thought.type, getattr(thought, "thinking", None)) == ("thinking", "")
    assert (block.type, getattr(block, "text", None), answer.stop_reason) == ("text", "Hello you", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 5)
    assert (answer.usage.cache_read_input_tokens, answer.usage.cache_creation_input_tokens) == (4, 2)
    assert answer._request_id
    [asked] = [request for request in upstream.requests if request.is_message_request]
    assert asked.conversation == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert asked.system_texts == ["Be brief."]
    assert asked.body["max_tokens"] == 50


async def test_a_stream_adds_up(client: anthropic.AsyncAnthropic, upstream: Upstream):
    """The client's own accumulator gets the whole answer."""
    upstream.script(AnswerReply(("one ", "two"), tools=[("toolu_1", "Read", ['{"pa', 'th":"x"}'])]))
    tool: Any = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
    async with client.messages.stream(model="sonnet", max_tokens=50, messages=HI, tools=[tool]) as stream:
        answer = await stream.get_final_message()
    _, text, call = answer.content
    assert (getattr(text, "text", None), getattr(call, "input", None)) == ("one two", {"path": "x"})
    assert answer.stop_reason == "tool_use"


async def test_a_tool_loop_keeps_the_thinking_that_was_not_asked_for(
    client: anthropic.AsyncAnthropic, upstream: Upstream
):
    """The client's own accumulator has the block without words, and sends it back as it is."""
    upstream.script(
        AnswerReply("I look.", thinking="Hm.", tools=[("toolu_1", "Read", ['{"path":', '"x"}'])]), AnswerReply("Done.")
    )
    tool: Any = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
    async with client.messages.stream(model="sonnet", max_tokens=50, messages=HI, tools=[tool]) as stream:
        answer = await stream.get_final_message()
    thought, text, call = answer.content
    assert isinstance(thought, anthropic.types.ThinkingBlock)
    assert (thought.thinking, bool(thought.signature)) == ("", True)
    assert (getattr(text, "text", None), getattr(call, "input", None)) == ("I look.", {"path": "x"})
    result: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "words"}
    history: Any = [*HI, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    await client.messages.create(model="sonnet", max_tokens=50, messages=history, tools=[tool])
    back = [request for request in upstream.requests if request.is_message_request][-1].conversation[1]
    assert back["content"][0] == {"type": "thinking", "thinking": "", "signature": thought.signature}


@pytest.mark.wire(62, 80)
async def test_the_tool_runner_runs(client: anthropic.AsyncAnthropic, upstream: Upstream):
    """It tries a thread first, is refused, and sends the whole conversation instead."""

    @beta_async_tool
    async def weather(city: str) -> str:
        """The weather of a city."""
        await asyncio.sleep(0)
        return f"sunny in {city}"

    upstream.script(AnswerReply(tools=[("toolu_1", "weather", ['{"city":"Bern"}'])]), AnswerReply("It is sunny."))
    runner = client.beta.messages.tool_runner(model="sonnet", max_tokens=50, messages=HI, tools=[weather])
    answer = await runner.until_done()
    assert [block.type for block in answer.content] == ["thinking", "text"]
    last = [request for request in upstream.requests if request.is_message_request][-1]
    assert [message["role"] for message in last.conversation] == ["user", "assistant", "user"]
    assert "sunny in Bern" in str(last.conversation[-1])


class Person(BaseModel):
    """What is asked for."""

    name: str


@pytest.mark.wire(63, 76)
async def test_a_structured_answer(client: anthropic.AsyncAnthropic, upstream: Upstream):
    """`messages.parse` gets the object."""
    upstream.script(AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{"name":"Ada"}'])]))
    answer = await client.messages.parse(model="sonnet", max_tokens=50, messages=HI, output_format=Person)
    assert answer.parsed_output == Person(name="Ada")


@pytest.mark.wire(53, 73)
async def test_tokens_are_estimated_many_at_once(client: anthropic.AsyncAnthropic):
    """And said to be an estimate."""
    counts = await asyncio.gather(
        *(client.messages.count_tokens(model="sonnet", messages=HI, system=f"{number}") for number in range(26))
    )
    assert all(count.input_tokens > 0 for count in counts)
    raw = await client.messages.with_raw_response.count_tokens(model="sonnet", messages=HI)
    assert raw.headers["x-token-count"] == "estimate"


@pytest.mark.wire(47)
async def test_models_in_the_vendors_form(client: anthropic.AsyncAnthropic):
    """Paged, and one by one; an unknown one is the vendor's own error."""
    page = await client.models.list(limit=2)
    assert len(page.data) == 2
    assert page.has_more
    every = [model.id async for model in page]
    assert len(every) == len(set(every))
    assert "sonnet" in every
    assert (await client.models.retrieve("sonnet")).type == "model"
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.models.retrieve("gpt-9")
    assert caught.value.type == "not_found_error"


async def test_errors_are_the_clients_own(client: anthropic.AsyncAnthropic, upstream: Upstream):
    """By their types, with the request's id in the body too."""
    upstream.script(ErrorReply(529, "overloaded_error"))
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model="sonnet", max_tokens=50, messages=HI)
    assert (caught.value.status_code, caught.value.type) == (529, "overloaded_error")
    body: Any = caught.value.body
    assert body["request_id"] == caught.value.request_id
    other = client.with_options(api_key="wrong")
    with pytest.raises(anthropic.AuthenticationError):
        await other.messages.create(model="sonnet", max_tokens=50, messages=HI)
