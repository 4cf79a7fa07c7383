"""Agent loops of client libraries are continued by held processes: each sends back what it received."""

import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

import anthropic
import openai
import pytest
from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner, function_tool
from anthropic import beta_async_tool
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.support.held_loops import (
    ALL_HELD,
    DONE,
    FIRST_TURN,
    QUESTION,
    SCHEMA,
    STEPS,
    SYSTEM,
    TOOL,
    ConversationHeaders,
    LoopModel,
    check_growth,
    get_weather,
)
from tests.support.scripted.upstream import Upstream
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT

WAYS = pytest.mark.parametrize("way", ["stream", "create"])
QUIET = RunConfig(tracing_disabled=True)


@beta_async_tool(name=TOOL)
async def get_weather_later(city: str, days: int) -> str:
    """Tells the weather of a city."""
    return get_weather(city, days)


@pytest.fixture
def headers(upstream: Upstream) -> ConversationHeaders:
    """The headers of a loop, which the model leads."""
    upstream.script(LoopModel().reply)
    return ConversationHeaders()


@pytest.fixture
async def client(stack: Stack, headers: ConversationHeaders) -> AsyncGenerator[openai.AsyncOpenAI]:
    """OpenAI's client."""
    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [headers.record]})
    async with openai.AsyncOpenAI(
        base_url=f"{stack.url}/v1", api_key=API_KEY, max_retries=0, timeout=TEST_TIMEOUT, http_client=http
    ) as client:
        yield client


@pytest.fixture
async def claude(stack: Stack, headers: ConversationHeaders) -> AsyncGenerator[anthropic.AsyncAnthropic]:
    """Anthropic's client."""
    http = anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [headers.record]})
    async with anthropic.AsyncAnthropic(
        base_url=stack.url, api_key=API_KEY, max_retries=0, timeout=TEST_TIMEOUT, http_client=http
    ) as client:
        yield client


@WAYS
async def test_openai_by_chat_completions(
    client: openai.AsyncOpenAI, upstream: Upstream, headers: ConversationHeaders, way: str
):
    """With the client's own messages as the history."""
    tools: Any = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA, "strict": True}}]
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    completions = client.chat.completions
    for _ in range(STEPS):
        if way == "stream":
            async with completions.stream(model="sonnet", messages=messages, tools=tools) as stream:
                answer: Any = await stream.get_final_completion()
        else:
            answer = await completions.create(model="sonnet", messages=messages, tools=tools)
        message = answer.choices[0].message
        messages.append(message)
        for call in message.tool_calls or ():
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert (messages[-1].content, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


@WAYS
@pytest.mark.parametrize("history", ["sent", "stored"])
async def test_openai_by_responses(
    client: openai.AsyncOpenAI, upstream: Upstream, headers: ConversationHeaders, way: str, history: str
):
    """With the client's own items as the history, or with the id of the response before."""
    options: dict[str, Any] = {
        "model": "sonnet",
        "instructions": SYSTEM,
        "tools": [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": True}],
        "store": history == "stored",
        "include": ["reasoning.encrypted_content"],
    }
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    answer: Any = None
    for _ in range(STEPS):
        if way == "stream":
            async with client.responses.stream(input=items, **options) as stream:
                answer = await stream.get_final_response()
        else:
            answer = await client.responses.create(input=items, **options)
        calls = [item for item in answer.output if item.type == "function_call"]
        results = [(call.call_id, get_weather(**json.loads(call.arguments))) for call in calls]
        new = [{"type": "function_call_output", "call_id": name, "output": result} for name, result in results]
        if history == "stored":
            options["previous_response_id"], items = answer.id, new
        else:
            items += [*answer.output, *new]
    assert (answer.output_text, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


@WAYS
async def test_anthropic(claude: anthropic.AsyncAnthropic, upstream: Upstream, headers: ConversationHeaders, way: str):
    """With the client's own blocks as the history; the mark for the cache moves with every step."""
    mark = {"cache_control": {"type": "ephemeral"}}
    options: dict[str, Any] = {
        "model": "sonnet",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": SYSTEM, **mark}],
        "tools": [{"name": TOOL, "input_schema": SCHEMA}],
    }
    new: list[Any] = [{"type": "text", "text": QUESTION}]
    messages: list[Any] = []
    answer: Any = None
    for _ in range(STEPS):
        sent: list[Any] = [*messages, {"role": "user", "content": [*new[:-1], {**new[-1], **mark}]}]
        if way == "stream":
            async with claude.messages.stream(messages=sent, **options) as stream:
                answer = await stream.get_final_message()
        else:
            answer = await claude.messages.create(messages=sent, **options)
        messages += [{"role": "user", "content": new}, {"role": "assistant", "content": answer.content}]
        calls = [block for block in answer.content if block.type == "tool_use"]
        results = [(call.id, get_weather(**call.input)) for call in calls]
        new = [{"type": "tool_result", "tool_use_id": name, "content": result} for name, result in results]
    assert (answer.content[-1].text, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


async def test_anthropics_tool_runner(
    claude: anthropic.AsyncAnthropic, upstream: Upstream, headers: ConversationHeaders
):
    """The client's own loop, which tries a feature first that the server refuses."""
    runner = claude.beta.messages.tool_runner(
        model="sonnet",
        max_tokens=1000,
        system=SYSTEM,
        messages=[{"role": "user", "content": QUESTION}],
        tools=[get_weather_later],
    )
    answer: Any = await runner.until_done()
    assert (answer.content[-1].text, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


async def run_langchain(
    client: openai.AsyncOpenAI, *, way: str, responses: bool = False, window: int = 2 * STEPS
) -> Any:
    """Runs a loop of LangChain's client, and returns its last message. window: how many messages of the loop it sends."""
    weather = tool(get_weather)
    chat = ChatOpenAI(
        model="sonnet",
        base_url=str(client.base_url),
        api_key=SecretStr(API_KEY),
        max_retries=0,
        timeout=TEST_TIMEOUT,
        use_responses_api=responses,
        http_async_client=client._client,
    ).bind_tools([weather])
    question, loop = [SystemMessage(SYSTEM), HumanMessage(QUESTION)], list[Any]()
    for _ in range(STEPS):
        messages = [*question, *loop[-window:]]
        if way == "stream":
            chunks = [chunk async for chunk in chat.astream(messages)]
            answer: Any = sum(chunks[1:], chunks[0])
        else:
            answer = await chat.ainvoke(messages)
        assert isinstance(answer, AIMessage)
        loop += [answer, *[await weather.ainvoke({**call, "type": "tool_call"}) for call in answer.tool_calls]]
    return loop[-1]


@WAYS
@pytest.mark.parametrize("api", ["chat completions", "responses"])
async def test_langchain(
    client: openai.AsyncOpenAI, upstream: Upstream, headers: ConversationHeaders, way: str, api: str
):
    """With its own messages as the history."""
    answer = await run_langchain(client, way=way, responses=api == "responses")
    assert (answer.text, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


async def test_a_client_that_shortens_its_history_is_served_from_the_start(
    client: openai.AsyncOpenAI, headers: ConversationHeaders
):
    """From the step on in which it leaves something out."""
    await run_langchain(client, way="create", window=4)
    assert headers.values == [FIRST_TURN, *["held"] * 2, *["replayed; reason=history_changed"] * (STEPS - 3)]


def build_agent(client: openai.AsyncOpenAI, instructions: Any, model: Any = OpenAIResponsesModel) -> Agent:
    """Builds an agent that has the weather tool."""
    tools: Any = [function_tool(get_weather)]
    return Agent(name="Helper", instructions=instructions, model=model("sonnet", client), tools=tools)


@WAYS
@pytest.mark.parametrize("model", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
async def test_openai_agents(
    client: openai.AsyncOpenAI, upstream: Upstream, headers: ConversationHeaders, way: str, model: Any
):
    """The library's own loop, by both APIs."""
    agent = build_agent(client, SYSTEM, model)
    if way == "stream":
        result: Any = Runner.run_streamed(agent, QUESTION, run_config=QUIET, max_turns=STEPS)
        assert [event async for event in result.stream_events()]
    else:
        result = await Runner.run(agent, QUESTION, run_config=QUIET, max_turns=STEPS)
    assert (result.final_output, headers.values) == (DONE, ALL_HELD)
    check_growth(upstream.requests)


async def test_with_the_time_in_the_system_prompt_no_step_is_continued(
    client: openai.AsyncOpenAI, upstream: Upstream, headers: ConversationHeaders
):
    """The Agents SDK computes instructions that are a function before each step."""
    seconds = itertools.count()
    agent = build_agent(client, lambda _context, _agent: f"It is 12:00:{next(seconds):02}.")
    result = await Runner.run(agent, QUESTION, run_config=QUIET, max_turns=STEPS)
    replays = ["replayed; reason=system_changed"] * (STEPS - 1)
    assert (result.final_output, headers.values) == (DONE, [FIRST_TURN, *replays])
    check_growth(upstream.requests)
