"""Held turns: the model calls, whoever asked brings the result, and the model goes on, in one answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest

from api.core.caller import Caller
from api.executors.held_conversations import HeldConversations
from api.executors.pool import ExecutorPool
from api.executors.turn_client import InteractiveTurn, TurnClient
from api.http.drain import Drain
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, TextDelta, ToolArgumentsDelta, ToolCall, ToolCallPending
from shared.turn import Document, Image, Message, Text, Tool, ToolResult, Turn
from shared.wire import DeliverToolResult, Submit, encode_frame, read_to_api
from tests.support.chat import Json
from tests.support.meter import build_meter
from tests.support.scripted.upstream import AnswerReply, ErrorReply, Upstream
from tests.support.stack import Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT

SCHEMA = '{"type":"object","properties":{"city":{"type":"string"}}}'
TOOLS = (Tool("get weather", "The weather.", SCHEMA), Tool("get_time", "The time.", SCHEMA))
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def turn(**more: object) -> Turn:
    """A question with two tools on offer."""
    turn_request = Turn("opus", (Message("user", (Text("How is it in Paris?"),)),), tools=TOOLS)
    return msgspec.structs.replace(turn_request, **more)


@asynccontextmanager
async def run_interactive(stack: Stack, turn_request: Turn) -> AsyncGenerator[InteractiveTurn]:
    """An interactive turn under way."""
    executors, meter = ExecutorPool(stack.run_dir, "claude"), build_meter(stack.folder)
    conversations = HeldConversations(executors, meter.revocation, "secret")
    dispatch = TurnClient(executors, Drain(30), 60, meter, conversations)
    async with asyncio.timeout(TEST_TIMEOUT), dispatch.run_interactive(turn_request, Caller("req_interactive")) as job:
        yield job


async def events_to(job: InteractiveTurn, kind: type[Event]) -> list[Event]:
    """The events up to the first of a kind, or the last."""
    seen: list[Event] = []
    async for event in job.events:
        seen.append(event)
        if isinstance(event, kind):
            break
    return seen


async def answered(job: InteractiveTurn, **brings: ToolResult | str) -> list[Event]:
    """Every event of a turn, each call answered by its id."""
    seen: list[Event] = []
    async for event in job.events:
        seen.append(event)
        if isinstance(event, ToolCallPending):
            result = brings[event.id]
            await job.send_tool_result(ToolResult(event.id, (Text(result),)) if isinstance(result, str) else result)
    return seen


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def results_of(upstream: Upstream, request: int = -1) -> list[Json]:
    """The results in the last message of a request to the service."""
    content: list[Json] = upstream.requests[request].conversation[-1]["content"]
    return [block for block in content if block["type"] == "tool_result"]


def parts(result: Json) -> list[Json]:
    """The content of a result as blocks."""
    content = result["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def call(call_id: str, name: str = "get_time", *arguments: str) -> AnswerReply:
    return AnswerReply(tools=[(call_id, name, arguments or ("{}",))], input=10, output=5)


async def test_a_turn_goes_on_through_its_calls_to_one_end(stack: Stack, upstream: Upstream):
    """Calls, results and words of three messages are one answer: words a blank line apart, tokens added up, one Done."""
    upstream.script(
        lambda received: AnswerReply(
            "Let me see.", tools=[("toolu_1", weather(received.body), ['{"city":', ' "Paris"}'])]
        ),
        call("toolu_2"),
        AnswerReply("Fine.", input=7, output=3),
    )
    async with run_interactive(stack, turn()) as job:
        events = await answered(job, toolu_1="18 °C", toolu_2="noon")
    assert text_of(events) == "Let me see.\n\nFine."
    assert [event for event in events if isinstance(event, ToolCallPending)] == [
        ToolCallPending("toolu_1", "get weather", '{"city": "Paris"}'),
        ToolCallPending("toolu_2", "get_time", "{}"),
    ]
    assert [event.id for event in events if isinstance(event, ToolCall)] == ["toolu_1", "toolu_2"]
    assert "".join(event.json for event in events if isinstance(event, ToolArgumentsDelta)) == '{"city": "Paris"}{}'
    [done] = [event for event in events if isinstance(event, Done | Failed)]
    assert isinstance(done, Done)
    assert done is events[-1]
    assert (done.stop_reason, done.usage.input_tokens) == ("end_turn", 10 + 10 + 7)
    first, second = results_of(upstream, 1), results_of(upstream, 2)
    assert [(r["tool_use_id"], parts(r)) for r in first] == [("toolu_1", [{"type": "text", "text": "18 °C"}])]
    assert [(r["tool_use_id"], parts(r)) for r in second] == [("toolu_2", [{"type": "text", "text": "noon"}])]
    assert len(upstream.requests) == 3


def weather(body: Json) -> str:
    """The name that `get weather` travels by."""
    return next(tool["name"] for tool in body["tools"] if tool["name"].startswith("get_weather"))


async def test_calls_of_one_message_are_wanted_together(each_credential_stack: Stack, upstream: Upstream):
    """None waits for the result of another, and results may come in any order."""
    both = AnswerReply(tools=[("toolu_1", "get_time", ['{"city":"a"}']), ("toolu_2", "get_time", ['{"city":"b"}'])])
    upstream.script(both, AnswerReply("Both."))
    async with run_interactive(each_credential_stack, turn()) as job:
        await events_to(job, ToolCallPending)
        assert (await events_to(job, ToolCallPending))[-1] == ToolCallPending("toolu_2", "get_time", '{"city":"b"}')
        await job.send_tool_result(ToolResult("toolu_2", (Text("two"),)))
        await job.send_tool_result(ToolResult("toolu_1", (Text("one"),)))
        assert isinstance((await events_to(job, Done))[-1], Done)
    assert {r["tool_use_id"]: parts(r)[0]["text"] for r in results_of(upstream)} == {"toolu_1": "one", "toolu_2": "two"}


LONG = "word " * 60_000


@pytest.mark.parametrize(
    ("result", "seen"),
    [
        (ToolResult("c", (Text("no such city"),), is_error=True), [{"type": "text", "text": "no such city"}]),
        (ToolResult("c", (Text("a"), Text("b"))), [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        (ToolResult("c", (Text(LONG),)), [{"type": "text", "text": LONG}]),
        (
            ToolResult("c", (Document("text/plain", "plain words", "notes"),)),
            [{"type": "text", "text": "plain words"}],
        ),
    ],
    ids=["an error", "two texts", "a long text", "a text file"],
)
async def test_a_result_reaches_the_model_as_it_was_brought(
    stack: Stack, upstream: Upstream, result: ToolResult, seen: list[Json]
):
    """Its text whole, and whether it is an error."""
    upstream.script(call("c"), AnswerReply("Ah."))
    async with run_interactive(stack, turn()) as job:
        events = await answered(job, c=result)
    assert text_of(events) == "Ah."
    [received] = results_of(upstream)
    assert parts(received) == seen
    assert bool(received.get("is_error")) == result.is_error


async def test_a_picture_reaches_the_model_as_one(stack: Stack, upstream: Upstream):
    """Beside the words that came with it."""
    upstream.script(call("c"), AnswerReply("Ah."))
    async with run_interactive(stack, turn()) as job:
        await answered(job, c=ToolResult("c", (Text("look"), Image("image/png", PIXEL))))
    [text, image] = parts(results_of(upstream)[0])
    assert text == {"type": "text", "text": "look"}
    assert (image["type"], image["source"]["type"], image["source"]["media_type"]) == ("image", "base64", "image/png")


async def test_a_tool_that_is_not_on_offer_is_put_right_and_the_turn_goes_on(stack: Stack, upstream: Upstream):
    """Nobody is asked for its result."""
    upstream.script(call("c", "rm_rf"), call("d"), AnswerReply("Well."))
    async with run_interactive(stack, turn()) as job:
        events = await answered(job, d="noon")
    assert [event.id for event in events if isinstance(event, ToolCall | ToolCallPending)] == ["d", "d"]
    assert text_of(events) == "Well."


async def test_a_demanded_call_is_demanded_once(stack: Stack, upstream: Upstream):
    """After it the model may choose for itself: or it would call for ever."""
    upstream.script(call("c"), AnswerReply("Well."))
    async with run_interactive(stack, turn(model="haiku", tool_choice="tool", forced_tool="get_time")) as job:
        assert text_of(await answered(job, c="noon")) == "Well."
    first, second = (request.body.get("tool_choice") for request in upstream.requests)
    assert first == {"type": "tool", "name": "get_time"}
    assert second in (None, {"type": "auto"})


async def test_without_parallel_calls_one_is_wanted(stack: Stack, upstream: Upstream):
    """A second call of the same message is answered with that."""
    both = AnswerReply(tools=[("toolu_1", "get_time", ["{}"]), ("toolu_2", "get_time", ["{}"])])
    upstream.script(both, call("toolu_3"), AnswerReply("One."))
    async with run_interactive(stack, turn(parallel_tools=False)) as job:
        events = await answered(job, toolu_1="first", toolu_3="third")
    assert [event.id for event in events if isinstance(event, ToolCallPending)] == ["toolu_1", "toolu_3"]
    [refused] = [result for result in results_of(upstream, 1) if result["tool_use_id"] == "toolu_2"]
    assert refused["is_error"]
    assert "one call at a time" in parts(refused)[0]["text"]


@pytest.mark.parametrize("reason", ["max_tokens", "refusal"])
async def test_a_message_that_is_cut_short_ends_the_answer(stack: Stack, upstream: Upstream, reason: str):
    """Its calls are never wanted."""
    upstream.script(call("c"), AnswerReply("Half", tools=[("d", "get_time", ["{}"])], stop_reason=reason))
    async with run_interactive(stack, turn()) as job:
        events = await answered(job, c="noon")
    assert [event.id for event in events if isinstance(event, ToolCallPending)] == ["c"]
    done = events[-1]
    assert isinstance(done, Done)
    assert done.stop_reason == reason
    assert len(upstream.requests) == 2


async def test_a_failure_in_a_later_message_is_told(stack: Stack, upstream: Upstream):
    """As it would be in the first."""
    upstream.script(call("c"), ErrorReply(401, "authentication_error"))
    async with run_interactive(stack, turn()) as job:
        events = await answered(job, c="noon")
    last = events[-1]
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.CREDENTIAL_REFUSED


async def test_a_budget_holds_over_all_messages(stack: Stack, upstream: Upstream):
    """What the first message cost counts when the second would begin."""
    upstream.script(
        AnswerReply(tools=[("c", "get_time", ["{}"])], input=100_000, output=100_000), AnswerReply("Too dear.")
    )
    async with run_interactive(stack, turn(max_budget_usd=0.01)) as job:
        events = await answered(job, c="noon")
    last = events[-1]
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.BUDGET


async def test_leaving_while_a_result_is_awaited_ends_the_cli(stack: Stack, upstream: Upstream):
    """At once: nobody will bring it."""
    upstream.script(call("c"))
    cli = await stack.find_idle_cli()
    async with run_interactive(stack, turn()) as job:
        await events_to(job, ToolCallPending)
        assert list_group(cli.pid)
    async with asyncio.timeout(TEST_TIMEOUT):
        await wait_until(lambda: not list_group(cli.pid))
        await stack.wait_until_quiet()


@pytest.mark.parametrize("is_interactive", [True, False])
async def test_a_result_that_no_call_waits_for_fails_the_job(stack: Stack, upstream: Upstream, *, is_interactive: bool):
    """Honestly: the two programs do not understand each other."""
    upstream.script(call("c"), AnswerReply("Never."))
    reader, writer = await asyncio.open_unix_connection(str(next(stack.run_dir.glob("*.sock"))))
    try:
        async with asyncio.timeout(TEST_TIMEOUT):
            writer.write(
                encode_frame(Submit(turn(interactive=is_interactive), "req_1"))
                + encode_frame(DeliverToolResult(ToolResult("other", ())))
            )
            event = await read_to_api(reader)
            while not isinstance(event, Failed):
                assert event is not None
                event = await read_to_api(reader)
            assert event.kind is ErrorKind.INTERNAL
            assert await read_to_api(reader) is None
    finally:
        writer.close()


async def test_an_executor_that_drains_tells_an_interactive_turn(upstream: Upstream):
    """When its time is over, not before."""
    upstream.script(call("c"), AnswerReply("In time."))
    async with Stack(upstream.url, settings={"DRAIN_TIMEOUT": "1"}) as stack, run_interactive(stack, turn()) as job:
        await events_to(job, ToolCallPending)
        await stack.executors[0].stop()
        last = (await events_to(job, Failed))[-1]
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.DRAINING
