"""LangChain's `ChatOpenAI` takes the server for OpenAI's: tools, and structured answers in each of its three ways."""

from typing import Any, Literal

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field, SecretStr

from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Reply, Upstream
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT

pytestmark = pytest.mark.wire(61)


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="The setup.\n\nOne sentence.")
    punchline: str
    tags: list[str] = []
    rating: int | None = Field(default=None, ge=1, le=10)


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers.

    Both are whole.
    """
    return a * b


JOKE = '{"setup": "Why?", "punchline": "Because.", "tags": ["é"], "rating": 7}'


@pytest.fixture
def chat(stack: Stack) -> ChatOpenAI:
    """LangChain's client, with a name of OpenAI's, by which it decides what it dares."""
    return ChatOpenAI(
        model="gpt-4o",
        base_url=f"{stack.url}/v1",
        api_key=SecretStr(API_KEY),
        max_retries=0,
        timeout=TEST_TIMEOUT,
        temperature=0.1,
    )


async def test_words_stream_and_are_counted(chat: ChatOpenAI, upstream: Upstream):
    """Its usage is what the service counted."""
    upstream.script(AnswerReply(("Hel", "lo"), input=10, output=2, cache_read=4))
    chunks = [chunk async for chunk in chat.astream([SystemMessage("Be kind."), HumanMessage("hi")], stream_usage=True)]
    assert "".join(str(chunk.content) for chunk in chunks) == "Hello"
    message = sum(chunks[1:], chunks[0])
    assert isinstance(message, AIMessageChunk)
    assert message.usage_metadata
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (14, 2)
    assert message.response_metadata["finish_reason"] == "stop"


ROUNDS = 4


async def test_bound_tools_are_called_and_their_results_understood(chat: ChatOpenAI, upstream: Upstream):
    """Several rounds, streamed and not, with the client's own messages as the history."""

    def next_call(received: ReceivedRequest) -> Reply:
        done = len(received.conversation) // 2
        if done == ROUNDS:
            return AnswerReply("Done.")
        return AnswerReply("So:", tools=[(f"toolu_{done}", "multiply", [f'{{"a": {done}, ', '"b": 2}'])])

    upstream.script(next_call)
    bound = chat.bind_tools([multiply])
    messages: list[Any] = [HumanMessage("hi")]
    for turn in range(ROUNDS + 1):
        if turn % 2:
            answer = await bound.ainvoke(messages)
        else:
            chunks = [chunk async for chunk in bound.astream(messages)]
            answer = sum(chunks[1:], chunks[0])
        assert isinstance(answer, AIMessage)
        messages.append(answer)
        messages += [await multiply.ainvoke({**call, "type": "tool_call"}) for call in answer.tool_calls]
    assert messages[-1].content == "Done."
    assert [message.content for message in messages if isinstance(message, ToolMessage)] == [
        str(2 * n) for n in range(ROUNDS)
    ]
    seen = upstream.requests[-1].conversation
    assert [seen[2 * n + 1]["content"][1]["input"] for n in range(ROUNDS)] == [{"a": n, "b": 2} for n in range(ROUNDS)]


@pytest.mark.parametrize("choice", ["any", "multiply", "none"])
async def test_a_bound_choice_is_kept(chat: ChatOpenAI, upstream: Upstream, choice: str):
    """Any tool, this tool, or none; the model, which refuses to be forced, is told in words."""
    upstream.script(
        AnswerReply("No.") if choice == "none" else AnswerReply(tools=[("toolu_1", "multiply", ['{"a": 1, "b": 2}'])])
    )
    answer = await chat.bind_tools([multiply], tool_choice=choice).ainvoke("hi")
    assert len(answer.tool_calls) == (0 if choice == "none" else 1)
    assert upstream.requests[0].body.get("tool_choice") == ({"type": "none"} if choice == "none" else None)
    assert [("call" in instruction) for _, instruction in upstream.requests[0].instructions] == (
        [] if choice == "none" else [True]
    )


@pytest.mark.parametrize(
    ("method", "include_raw"), [("function_calling", False), ("json_schema", True), ("json_mode", False)]
)
async def test_a_structured_answer_is_the_object_that_was_asked_for(
    chat: ChatOpenAI,
    upstream: Upstream,
    method: Literal["function_calling", "json_schema", "json_mode"],
    include_raw: bool,  # noqa: FBT001
):
    """By a forced tool, by a schema, or by any JSON."""
    name = "Joke" if method == "function_calling" else "StructuredOutput"
    upstream.script(AnswerReply("Here:", tools=[("toolu_1", name, [JOKE[:20], JOKE[20:]])]))
    structured = chat.with_structured_output(Joke, method=method, include_raw=include_raw)
    answer: Any = await structured.ainvoke("Tell me a joke, as JSON.")
    if include_raw:
        assert answer["parsing_error"] is None
        answer = answer["parsed"]
    assert answer == Joke.model_validate_json(JOKE)
    [received] = upstream.requests
    assert name in {tool["name"] for tool in received.body["tools"]}


# LangChain's own: it puts the object into a message of the `openai` package that is typed to have none.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("method", ["function_calling", "json_schema", "json_mode"])
async def test_a_structured_answer_may_be_streamed(
    chat: ChatOpenAI, upstream: Upstream, method: Literal["function_calling", "json_schema", "json_mode"]
):
    """Its last piece is the whole object."""
    name = "Joke" if method == "function_calling" else "StructuredOutput"
    upstream.script(AnswerReply("Here:", tools=[("toolu_1", name, [JOKE[:20], JOKE[20:]])]))
    pieces = [piece async for piece in chat.with_structured_output(Joke, method=method).astream("JSON, please.")]
    assert pieces[-1] == Joke.model_validate_json(JOKE)


async def test_a_strict_schema_is_kept(chat: ChatOpenAI, upstream: Upstream):
    """What does not meet it is asked for again before LangChain sees it."""
    wrong = '{"setup": "Why?", "punchline": "Because.", "tags": [], "rating": 70}'
    upstream.script(
        AnswerReply(tools=[("toolu_1", "StructuredOutput", [wrong])]),
        AnswerReply(tools=[("toolu_2", "StructuredOutput", [JOKE])]),
    )
    answer = await chat.with_structured_output(Joke, method="json_schema", strict=True).ainvoke("A joke.")
    assert answer == Joke.model_validate_json(JOKE)
    assert len(upstream.requests) == 2
