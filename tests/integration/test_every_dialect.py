"""What is the same in every dialect: tools, a structured answer, errors before and during the answer.

Invariants: the model receives the same request, and the client gets the same content, in each dialect.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from msgspec import Struct

from tests.integration.test_code import calls, results
from tests.support.mcp_client import connect_client
from tests.support.scripted.upstream import AnswerReply, ErrorEventReply, ErrorReply, Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

type Json = dict[str, Any]
type SentEvent = tuple[str, str]  # an event's name, if it has one, and its data

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PARIS = ("toolu_1", "get_weather", ['{"city": ', '"Paris"}'])
CALLED = [("toolu_1", "get_weather", {"city": "Paris"})]


class DialectForm(Struct, frozen=True):
    """A dialect. ask: the body of a question. offering, shaped: what offers a tool, what asks for an answer of a schema.

    back: the messages that bring a call's result, after the answer that holds the call. words, calls: what an answer
    says. said: the words of a stream's event.
    """

    name: str
    path: str
    ask: Callable[[list[Any]], Json]
    offering: Json
    shaped: Json
    back: Callable[[Json], list[Any]]
    words: Callable[[Json], str]
    calls: Callable[[Json], list[tuple[str, str, Any]]]
    delta: Callable[[Json], str]

    def __repr__(self) -> str:
        return self.name


def user(text: str) -> Json:
    return {"role": "user", "content": text}


CHAT = DialectForm(
    name="chat",
    path="/v1/chat/completions",
    ask=lambda messages: {"model": "sonnet", "messages": messages},
    offering={"tools": [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]},
    shaped={"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": CITY}}},
    back=lambda answer: [
        answer["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"},
    ],
    words=lambda answer: answer["choices"][0]["message"]["content"] or "",
    calls=lambda answer: [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in answer["choices"][0]["message"].get("tool_calls", [])
    ],
    delta=lambda event: "".join(choice["delta"].get("content", "") for choice in event.get("choices", [])),
)
MESSAGES = DialectForm(
    name="messages",
    path="/v1/messages",
    ask=lambda messages: {"model": "sonnet", "max_tokens": 500, "messages": messages},
    offering={"tools": [{"name": "get_weather", "input_schema": CITY}]},
    shaped={"output_config": {"format": {"type": "json_schema", "schema": CITY}}},
    back=lambda answer: [
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ],
    words=lambda answer: "".join(block["text"] for block in answer["content"] if block["type"] == "text"),
    calls=lambda answer: [
        (block["id"], block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"
    ],
    delta=lambda event: event["delta"].get("text", "") if event["type"] == "content_block_delta" else "",
)
RESPONSES = DialectForm(
    name="responses",
    path="/v1/responses",
    ask=lambda messages: {"model": "sonnet", "input": messages},
    offering={"tools": [{"type": "function", "name": "get_weather", "parameters": CITY}]},
    shaped={"text": {"format": {"type": "json_schema", "name": "x", "schema": CITY}}},
    back=lambda answer: [
        *answer["output"],
        {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny"},
    ],
    words=lambda answer: "".join(
        part["text"] for item in answer["output"] if item["type"] == "message" for part in item["content"]
    ),
    calls=lambda answer: [
        (item["call_id"], item["name"], json.loads(item["arguments"]))
        for item in answer["output"]
        if item["type"] == "function_call"
    ],
    delta=lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
)
each_dialect = pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES], ids=repr)


async def answer(stack: Stack, dialect: DialectForm, messages: list[Any], **fields: Any) -> Json:
    response = await stack.client.post(dialect.path, json={**dialect.ask(messages), **fields})
    assert response.status_code == 200, response.text
    return response.json()


@contextlib.asynccontextmanager
async def streaming(stack: Stack, dialect: DialectForm, **fields: Any) -> AsyncGenerator[AsyncIterator[SentEvent]]:
    """The events of a running stream; leaving the block disconnects."""
    body = {**dialect.ask([user("hi")]), **fields, "stream": True}
    async with (
        httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client,
        client.stream("POST", dialect.path, json=body) as response,
    ):
        assert response.status_code == 200, await response.aread()
        yield read_events(response)


async def read_events(response: httpx2.Response) -> AsyncIterator[SentEvent]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, line.removeprefix("data: ")
            name = ""


def words_of(dialect: DialectForm, events: list[SentEvent]) -> str:
    return "".join(dialect.delta(json.loads(data)) for _, data in events if data != "[DONE]")


def describe_request(upstream: Upstream) -> Json:
    """What the model was offered and told, without what is the CLI's own."""
    body = upstream.requests[-1].body
    tools = [(tool["name"], tool["input_schema"]) for tool in body.get("tools", [])]
    return {"tools": tools, "conversation": upstream.requests[-1].conversation, "choice": body.get("tool_choice")}


@each_dialect
async def test_a_tool_of_the_client(stack: Stack, upstream: Upstream, dialect: DialectForm):
    """It is offered by its name and schema, called with its arguments, and its result goes on where the call was."""
    upstream.script(AnswerReply("I look.", tools=[PARIS]), AnswerReply("Sunny."))
    first = await answer(stack, dialect, [user("Weather?")], **dialect.offering)
    assert (dialect.words(first), dialect.calls(first)) == ("I look.", CALLED)
    assert describe_request(upstream)["tools"] == [("get_weather", CITY)]
    last = await answer(stack, dialect, [user("Weather?"), *dialect.back(first)], **dialect.offering)
    assert (dialect.words(last), dialect.calls(last)) == ("Sunny.", [])
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
    question, message, results = describe_request(upstream)["conversation"]
    assert question == {"role": "user", "content": [{"type": "text", "text": "Weather?"}]}
    *thought, words, called = message["content"]
    assert (message["role"], words, called) == ("assistant", {"type": "text", "text": "I look."}, use)
    assert [block["type"] for block in thought] == (["thinking"] if dialect is MESSAGES else [])
    [result] = results["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "toolu_1")
    assert "sunny" in json.dumps(result["content"])


@each_dialect
async def test_a_structured_answer(stack: Stack, upstream: Upstream, dialect: DialectForm):
    """It is the object alone, as text, whole and streamed."""
    structured = AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{"city": ', '"Paris"}'])])
    upstream.script(structured, structured)
    complete = await answer(stack, dialect, [user("Where?")], **dialect.shaped)
    assert (json.loads(dialect.words(complete)), dialect.calls(complete)) == ({"city": "Paris"}, [])
    assert [name for name, _ in describe_request(upstream)["tools"]] == ["StructuredOutput"]
    async with streaming(stack, dialect, **dialect.shaped) as stream:
        assert json.loads(words_of(dialect, [event async for event in stream])) == {"city": "Paris"}


@pytest.mark.wire(36, 51)
@each_dialect
async def test_an_error_during_the_answer(stack: Stack, upstream: Upstream, dialect: DialectForm):
    """What was said stands; then the stream says what went wrong, by the dialect's own event, and ends."""
    upstream.script(ErrorEventReply(("one ", "two")))
    async with streaming(stack, dialect) as stream:
        events = [event async for event in stream]
    last = events[-2] if dialect is CHAT else events[-1]
    assert words_of(dialect, events[: events.index(last)]) == "one two"
    name, data = last
    assert name == {"chat": "", "messages": "error", "responses": "response.failed"}[dialect.name]
    assert "lost before the answer was complete" in data
    assert (events[-1][1] == "[DONE]") == (dialect is CHAT)


@each_dialect
async def test_an_error_before_the_first_byte(stack: Stack, upstream: Upstream, dialect: DialectForm):
    """It is an error with its status, in the dialect's envelope, for streams too."""
    for stream in (False, True):
        upstream.script(ErrorReply(429, "rate_limit_error", headers={"x-should-retry": "false"}))
        response = await stack.client.post(dialect.path, json={**dialect.ask([user("hi")]), "stream": stream})
        assert response.status_code == 429
        error = response.json()
        assert error["error"]["type"] == "rate_limit_error"
        assert ("request_id" in error) == (dialect is MESSAGES)


# --- the server's own tools

TOLD_OF = [("Read", "began"), ("Read", "ended"), ("Bash", "began"), ("Bash", "failed")]


class WorkRoute(Struct, frozen=True):
    """An API for work with files and commands. ask: sends a request; returns the answer and the progress of each tool."""

    name: str
    ask: Callable[[Stack, Json], Awaitable[tuple[Json, list[SentEvent]]]]

    def __repr__(self) -> str:
        return self.name


async def by_rest(stack: Stack, fields: Json) -> tuple[Json, list[SentEvent]]:
    events: list[tuple[str, Json]] = []
    async with stack.client.stream("POST", "/api/code", json={**fields, "stream": True}) as response:
        assert response.status_code == 200, await response.aread()
        events = [(name, json.loads(data)) async for name, data in read_events(response)]
    words = {"tool_start": lambda _: "began", "tool_end": lambda data: "failed" if data["is_error"] else "ended"}
    return events[-1][1], [(data["name"], words[name](data)) for name, data in events if name in words]


async def by_mcp(stack: Stack, fields: Json) -> tuple[Json, list[SentEvent]]:
    messages: list[str] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")

    async with connect_client(stack) as client:
        result = await client.call_tool("code", fields, progress_callback=tell)
    words = {"is": "ended", "failed.": "failed"}
    uses = [message.split(maxsplit=1) for message in messages if message.startswith(("Read", "Bash"))]
    return result.structured_content or {}, [
        (name.rstrip(":"), "began" if name.endswith(":") else words[rest.split()[0]]) for name, rest in uses
    ]


@pytest.fixture(scope="module")
async def coders(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with files and commands."""
    async with Stack(shared_upstream.url, tools={"ALLOWED_COMMANDS": "ls,cat"}) as stack:
        (stack.files / "notes.txt").write_text("alpha\n")
        yield stack


@pytest.mark.parametrize("work", [WorkRoute("rest", by_rest), WorkRoute("mcp", by_mcp)], ids=repr)
async def test_tools_of_the_server(coders: Stack, upstream: Upstream, work: WorkRoute):
    """The server does what the model calls, refuses what it may not, tells of both, and the model has the last word."""
    notes = str(coders.files / "notes.txt")
    read, ran = ("Read", {"file_path": notes}), ("Bash", {"command": f"cat {notes}; id"})
    upstream.script(calls(read), calls(ran), AnswerReply("It says alpha."))
    answer, on_the_way = await work.ask(coders, {"prompt": "What do the notes say?"})
    assert (answer["result"], answer["is_error"], answer["stop_reason"]) == ("It says alpha.", False, "end_turn")
    assert [(use["name"], use["is_error"]) for use in answer["tools_used"]] == [("Read", False), ("Bash", True)]
    assert on_the_way == TOLD_OF
    assert results(upstream, 1) == [("     1\talpha", False)]
    [(refusal, is_error)] = results(upstream, 2)
    assert is_error
    assert "Allowed commands: cat, ls" in refusal
    assert upstream.requests[0].conversation[0]["content"][-1]["text"] == "What do the notes say?"
    await coders.wait_until_quiet()
