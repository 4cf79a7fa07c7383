"""The OpenAI Agents SDK runs its loop against the server, by the Responses API."""

import pytest
from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, function_tool

from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

QUIET = RunConfig(tracing_disabled=True)


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}"


def agent(stack: Stack) -> Agent:
    model = OpenAIResponsesModel(model="sonnet", openai_client=stack.openai)
    return Agent(
        name="Helper",
        instructions="Be brief.",
        model=model,
        tools=[get_weather],
        model_settings=ModelSettings(parallel_tool_calls=True),
    )


@pytest.mark.wire(50, 61)
async def test_a_tool_loop(stack: Stack, upstream: Upstream):
    """The tool is called with the model's arguments, and its result leads to the answer."""
    upstream.script(AnswerReply(tools=[("toolu_1", "get_weather", ['{"city": "Paris"}'])]), AnswerReply("Sunny."))
    result = await Runner.run(agent(stack), "Weather in Paris?", run_config=QUIET)
    assert result.final_output == "Sunny."
    [_, called, result_message] = upstream.requests[-1].conversation
    assert called["content"][-1]["input"] == {"city": "Paris"}
    assert "Sunny in Paris" in str(result_message["content"])


async def test_a_streamed_tool_loop(stack: Stack, upstream: Upstream):
    """The same, as it comes."""
    upstream.script(
        AnswerReply("Hm.", tools=[("toolu_1", "get_weather", ['{"city": ', '"Oslo"}'])]), AnswerReply(("Sun", "ny."))
    )
    result = Runner.run_streamed(agent(stack), "Weather in Oslo?", run_config=QUIET)
    kinds = [event.type async for event in result.stream_events()]
    assert result.final_output == "Sunny."
    assert "raw_response_event" in kinds
