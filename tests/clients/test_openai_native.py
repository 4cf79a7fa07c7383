"""The official `openai` client: its helpers for schemas, for streams and for tools take the server for the real service."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel, Field

from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Reply, Upstream
from tests.support.stack import Stack

pytestmark = pytest.mark.wire(61)

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Step(BaseModel):
    """One step."""

    explanation: str = Field(description="Why.\n\nIn full.")
    result: float | None = None


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: Annotated[int, Field(ge=1)]


class Solution(BaseModel):
    """Lists, nesting, choices, and what may be absent."""

    steps: list[Step]
    colour: Colour
    shape: Circle | Square
    corner: list[int] = Field(min_length=2)
    note: str | None


class Node(BaseModel):
    """Refers to itself."""

    name: str
    children: list["Node"]


class GetWeather(BaseModel):
    """The weather of a city."""

    city: str
    unit: Literal["C", "F"] | None = None


SOLVED = (
    '{"steps": [{"explanation": "é", "result": null}, {"explanation": "b", "result": 2.5}], "colour": "blue", '
    '"shape": {"kind": "square", "side": 3}, "corner": [1, 2], "note": null}'
)
TREE = '{"name": "a", "children": [{"name": "b", "children": []}]}'


def gives(*pieces: str) -> AnswerReply:
    """What the model does to answer by a schema."""
    return AnswerReply("Here:", tools=[("toolu_1", "StructuredOutput", pieces)])


@pytest.mark.parametrize(
    ("model", "document"), [(Solution, SOLVED), (Node, TREE)], ids=["nested, optional, choices", "recursive"]
)
async def test_parse_gives_the_model_that_was_asked_for(
    stack: Stack, upstream: Upstream, model: type[BaseModel], document: str
):
    """The client's own strict schema is met, and its object is what the model wrote."""
    upstream.script(gives(document))
    answer = await stack.openai.chat.completions.parse(model="sonnet", messages=HI, response_format=model)
    [choice] = answer.choices
    assert choice.message.parsed == model.model_validate_json(document)
    assert choice.message.content == document
    assert choice.finish_reason == "stop"
    [received] = upstream.requests
    assert [tool["name"] for tool in received.body["tools"]] == ["StructuredOutput"]


async def test_parse_sees_a_refusal(stack: Stack, upstream: Upstream):
    """The model would rather talk."""
    upstream.script(AnswerReply("I will not."))
    answer = await stack.openai.chat.completions.parse(model="sonnet", messages=HI, response_format=Solution)
    [choice] = answer.choices
    assert choice.message.parsed is None
    assert choice.message.refusal == "I will not."


async def test_parse_raises_when_the_token_limit_cuts_the_answer(stack: Stack, upstream: Upstream):
    """As it does with the real service."""
    upstream.script(AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{"steps"'])], stop_reason="max_tokens"))
    with pytest.raises(openai.LengthFinishReasonError):
        await stack.openai.chat.completions.parse(model="sonnet", messages=HI, response_format=Solution, max_tokens=9)


async def test_parse_reads_the_arguments_of_tools(stack: Stack, upstream: Upstream):
    """Its strict tools come back as the models they were made of."""
    upstream.script(AnswerReply(tools=[("toolu_1", "GetWeather", ['{"city": "Rome", ', '"unit": null}'])]))
    answer = await stack.openai.chat.completions.parse(
        model="sonnet", messages=HI, tools=[openai.pydantic_function_tool(GetWeather)]
    )
    [call] = answer.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == GetWeather(city="Rome")
    assert answer.choices[0].finish_reason == "tool_calls"


async def stream_chat(stack: Stack, **fields: Any) -> tuple[list[Any], Any]:
    """The events of the client's stream helper, and its final completion."""
    async with stack.openai.chat.completions.stream(model="sonnet", messages=HI, **fields) as stream:
        events = [event async for event in stream]
        return events, await stream.get_final_completion()


async def test_the_stream_helper_tells_of_a_structured_answer(stack: Stack, upstream: Upstream):
    """With the parsed object at its end."""
    upstream.script(gives(SOLVED))
    events, answer = await stream_chat(stack, response_format=Solution)
    assert answer.choices[0].message.parsed == Solution.model_validate_json(SOLVED)
    [done] = [event for event in events if event.type == "content.done"]
    assert done.parsed == answer.choices[0].message.parsed
    assert done.content == SOLVED


async def test_the_stream_helper_tells_of_tools(stack: Stack, upstream: Upstream):
    """Each call's arguments as they grow and when they are whole; words before them are words."""
    calls = [
        ("toolu_1", "GetWeather", ['{"city": "Rome", ', '"unit": "C"}']),
        ("toolu_2", "get_time", ['{"zone"', ': "CET"}']),
    ]
    upstream.script(AnswerReply(["Let ", "me"], thinking="hm", tools=calls[:1]))
    time: ChatCompletionToolParam = {
        "type": "function",
        "function": {
            "name": "get_time",
            "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
            "strict": False,
        },
    }
    tools = [openai.pydantic_function_tool(GetWeather)]
    events, answer = await stream_chat(stack, tools=tools)
    message = answer.choices[0].message
    assert message.content == "Let me"
    upstream.script(AnswerReply(["Let ", "me"], tools=calls))
    assert [call.id for call in message.tool_calls] == ["toolu_1"]
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert done.parsed_arguments == GetWeather(city="Rome", unit="C")
    assert (done.index, done.name) == (0, "GetWeather")
    completion = await stack.openai.chat.completions.create(model="sonnet", messages=HI, tools=[*tools, time])
    assert [call.id for call in completion.choices[0].message.tool_calls or []] == ["toolu_1", "toolu_2"]


ROUNDS = 4


async def test_rounds_of_tool_calls(stack: Stack, upstream: Upstream):
    """The client's own messages, sent back as it made them, are the history; every round is streamed."""

    def next_call(received: ReceivedRequest) -> Reply:
        done = len(received.conversation) // 2
        if done == ROUNDS:
            return AnswerReply("Done.")
        return AnswerReply(
            f"Step {done}.", tools=[(f"toolu_{done}", "GetWeather", [f'{{"city": "c{done}", ', '"unit": null}'])]
        )

    upstream.script(next_call)
    messages: list[Any] = list(HI)
    tools = [openai.pydantic_function_tool(GetWeather)]
    for _ in range(ROUNDS + 1):
        async with stack.openai.chat.completions.stream(model="sonnet", messages=messages, tools=tools) as stream:
            answer = await stream.get_final_completion()
        message = answer.choices[0].message
        messages.append(message)
        for call in message.tool_calls or []:
            assert isinstance(call.function.parsed_arguments, GetWeather)
            result = f"{call.function.parsed_arguments.city} is warm"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert messages[-1].content == "Done."
    seen = upstream.requests[-1].conversation
    assert len(upstream.requests) == ROUNDS + 1
    for n in range(ROUNDS):
        words, call = seen[2 * n + 1]["content"]
        [result] = seen[2 * n + 2]["content"]
        assert words["text"] == f"Step {n}."
        assert (call["id"], call["input"]["city"]) == (result["tool_use_id"], f"c{n}")
        assert result["content"] == [{"type": "text", "text": f"c{n} is warm"}]
