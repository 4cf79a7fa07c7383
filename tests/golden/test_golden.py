"""Canonical events in, exact bytes out, for every shape of an answer.

A case is a file in the folder of its dialect; a new one needs no code:

    # what it shows
    # wire: 29 31                                 the numbers of the wire checklist it proves, if any
    > {"include_usage": true, "choices": 2}       how the answer was asked for, if not as usual
    {"type": "started", "model": "claude-x"}      an event a line
    1 {"type": "text", "text": "Hi"}              … of the second answer
    {"type": "OutputChunk", "stream": "stdout", …}      … or what else REST hears, by its struct's name
    ----------
    the HTTP response to a streamed request
    ----------
    the HTTP response to one that is not

With UPDATE_GOLDEN=1 the responses are written instead of compared; read them before you keep them.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from litestar.types import Message, Scope
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from api.agent import answers
from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.anthropic.encode import MessageEncoder, to_http_status
from api.dialects.openai_chat.encode import ChatEncoder, ChatOutputOptions
from api.dialects.openai_responses.decode import decode as decode_response
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.output_items import ResponsesOutputOptions as ResponsesForm
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import build_response
from api.dialects.rest.encode import RestEncoder
from api.executors.stream_merger import NumberedEvent
from api.http.event_stream import Encoder, EventStreamResponse
from shared.events import Event

FOLDER = Path(__file__).parent
DASHES = re.compile(r"(?m)^-{10}\n")
ENDS = ("completed", "incomplete", "failed")
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))

type Options = dict[str, Any]

_anthropics: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
_event = msgspec.json.Decoder[Event](Event)
# What REST hears beside the events, by the names of the structs.
STEPS: dict[str, type[msgspec.Struct]] = {
    step.__name__: step
    for step in (
        *(answers.ToolStarted, answers.ToolOutputChunk, answers.ToolEnded, answers.OutputChunk),
        *(answers.ChatAnswer, answers.CodeAnswer, answers.FileAnswer, answers.BashAnswer),
    )
}


def openai_chat(options: Options) -> Encoder[Event]:
    """The encoder of chat completions, with an id and a time that stay."""
    form = ChatOutputOptions(
        include_usage=options.get("include_usage", False),
        custom=frozenset(options.get("custom", ())),
        legacy=options.get("legacy", False),
        reasoning=options.get("reasoning", False),
    )
    return ChatEncoder("chatcmpl-golden", 1_700_000_000, "sonnet", form, options.get("choices", 1))


def anthropic(options: Options) -> Encoder[Event]:
    """The encoder of Anthropic's messages, with ids that stay."""
    return MessageEncoder(
        "msg_golden",
        "sonnet",
        "req_golden",
        thinking=options.get("thinking", False),
        show_thinking=options.get("shown", True),
    )


def openai_responses(options: Options) -> Encoder[Event]:
    """The encoder of responses, with an id and a time that stay."""
    sent = {"input": "Hi", **options.get("request", {})}
    call = decode_response(msgspec.json.encode(sent), Policy(), ResponseStore(0, 0, 1).for_key("owner"))
    form = ResponsesForm(
        call.tool_set.custom,
        call.namespaces,
        show_summaries=call.show_summaries,
        include_encrypted=call.include_encrypted,
    )
    response = build_response("resp_golden", 1_700_000_000, "sonnet", call)
    return ResponsesEncoder(response, form, lambda: 1_700_000_001)


def rest(_options: Options) -> Encoder[answers.Step]:
    """The encoder of REST."""
    return RestEncoder()


DIALECTS: dict[str, Callable[[Options], Encoder[Any]]] = {
    "rest": rest,
    "openai_chat": openai_chat,
    "anthropic": anthropic,
    "openai_responses": openai_responses,
}
# A status that is the dialect's own.
STATUS: dict[str, Callable[[Problem], int]] = {"anthropic": to_http_status}


class Case:
    """A file: how the answer was asked for, its events, and the responses that are expected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given, *responses = DASHES.split(path.read_bytes().decode())
        self.expected = [response.removesuffix("\n") for response in responses]
        lines = [line for line in self.given.split("\n") if line and not line.startswith("#")]
        self.options: Options = json.loads(lines.pop(0)[1:]) if lines[0].startswith(">") else {}
        self.events = [numbered(line) for line in lines]
        numbers = re.search(r"(?m)^# wire: (.*)$", self.given)
        self.wire = [int(number) for number in numbers[1].split()] if numbers else []

    async def response(self, *, stream: bool) -> str:
        """The whole HTTP response, as text."""
        messages: list[Message] = []

        async def send(message: Message) -> None:
            messages.append(message)

        async def receive() -> Any:
            """A client that stays."""
            await asyncio.Event().wait()

        encoder = DIALECTS[self.path.parent.name](self.options)
        own = STATUS.get(self.path.parent.name, lambda problem: problem.status)
        await EventStreamResponse(self._played(), encoder, stream=stream, keepalive_interval=60, status=own)(
            no_scope(), receive, send
        )
        head, *bodies = messages
        assert head["type"] == "http.response.start"
        lines = [f"HTTP {head['status']}", *(f"{n.decode()}: {v.decode()}" for n, v in head["headers"]), "", ""]
        return "\n".join(lines) + b"".join(body.get("body", b"") for body in bodies).decode()

    async def _played(self) -> AsyncGenerator[NumberedEvent]:
        for event in self.events:
            yield event


def no_scope() -> Scope:
    """An answer does not look at the request."""
    scope: Any = {}
    return scope


def numbered(line: str) -> tuple[int, Any]:
    """An event, and which of the answers it belongs to: the first, unless the line says another."""
    number, brace, rest = line.partition("{")
    if step := STEPS.get(json.loads(brace + rest)["type"]):
        return 0, msgspec.json.decode(brace + rest, type=step)
    return int(number or 0), _event.decode(brace + rest)


CASES = [Case(path) for path in sorted(FOLDER.glob("*/*.txt"))]
CHATS = [case for case in CASES if case.path.parent.name == "openai_chat"]
RESPONSES = [case for case in CASES if case.path.parent.name == "openai_responses" and case.path.stem != "error_first"]


def each(cases: list[Case]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test for each case, which carries its numbers of the checklist."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(
                case,
                id=f"{case.path.parent.name}-{case.path.stem}",
                marks=[pytest.mark.wire(*case.wire)] if case.wire else [],
            )
            for case in cases
        ],
    )


@each(CASES)
async def test_these_events_are_exactly_these_bytes(case: Case):
    """What clients get for a given answer changes only when its golden file does."""
    got = [await case.response(stream=True), await case.response(stream=False)]
    if UPDATE:
        case.path.write_bytes("----------\n".join([case.given, *(f"{one}\n" for one in got)]).encode())
        return
    assert got == case.expected


def chunks_of(response: str) -> list[str]:
    """The data of each event of a stream."""
    _, _, body = response.partition("\n\n")
    assert body.endswith("\n\n")
    return [event.removeprefix("data: ") for event in body.removesuffix("\n\n").split("\n\n")]


@each([case for case in CHATS if "error" not in case.path.stem])
async def test_the_stream_adds_up_to_the_whole_answer(case: Case):
    """Put together by the official client, the chunks are the very message that a plain request gets."""
    *chunks, done = chunks_of(await case.response(stream=True))
    assert done == "[DONE]"
    state = ChatCompletionStreamState()
    for chunk in chunks:
        if not case.options.get("custom"):
            ChatCompletionChunk.model_validate_json(chunk, strict=True)
        # The client itself does not validate: its types know no custom tools in streams.
        state.handle_chunk(
            cast("ChatCompletionChunk", construct_type(type_=ChatCompletionChunk, value=json.loads(chunk)))
        )
    _, _, body = (await case.response(stream=False)).partition("\n\n")
    answer = ChatCompletion.model_validate_json(body, strict=True).model_dump(exclude_none=True)
    streamed = without_index(state.current_completion_snapshot.model_dump(exclude_none=True))
    if not case.options.get("include_usage"):
        del answer["usage"]
    assert streamed["choices"] == answer["choices"]
    assert streamed.get("usage") == answer.get("usage")


def without_index(completion: dict[str, Any]) -> dict[str, Any]:
    """What the official client gathered, in a plain answer's form: calls uncounted, nothing said that is nothing."""
    for choice in completion["choices"]:
        message = choice["message"]
        message.pop("parsed", None)
        if (message.get("tool_calls") or message.get("function_call") or "refusal" in message) and not message.get(
            "content"
        ):
            message.pop("content", None)
        for call in message.get("tool_calls", []):
            call.pop("index", None)
            if call["type"] == "function":
                call["function"].pop("parsed_arguments", None)
    return completion


def parse_events(response: str) -> list[dict[str, Any]]:
    """The events of a stream whose events have names; each is under its own."""
    _, _, body = response.partition("\n\n")
    found: list[dict[str, Any]] = []
    for event in body.removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


@each([case for case in CASES if case.path.parent.name == "anthropic" and "error" not in case.path.stem])
async def test_anthropics_events_add_up_to_the_whole_message(case: Case):
    """Put together by the official client, the events are the very message that a plain request gets."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in parse_events(await case.response(stream=True)):
        if event["type"] != "ping":
            made: RawMessageStreamEvent = _anthropics.validate_python(event)
            snapshot = accumulate_event(event=made, current_snapshot=snapshot, json_bufs=buffers)
    _, _, body = (await case.response(stream=False)).partition("\n\n")
    answer = AnthropicMessage.model_validate_json(body, strict=True)
    if case.path.stem == "call_cut_by_the_limit":
        # The client guesses at what was cut off; a whole answer does not.
        snapshot.content[-1].input = {}
    assert snapshot.model_dump(exclude_none=True) == answer.model_dump(exclude_none=True)


@each(RESPONSES)
async def test_every_event_of_a_response_is_one_the_official_client_knows(case: Case):
    """By its own types, with numbers that count up; the last has the response that a plain request gets."""
    events = parse_events(await case.response(stream=True))
    known: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        known.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    ends = [event for event in events if event["type"] in {f"response.{end}" for end in ENDS}]
    assert ends == [events[-1]]
    if events[-1]["type"] != "response.failed":
        _, _, body = (await case.response(stream=False)).partition("\n\n")
        assert json.loads(body) == events[-1]["response"]
        Response.model_validate_json(body)


@each(RESPONSES)
async def test_the_events_of_a_response_add_up_to_its_items(case: Case):
    """Each item is begun and done in its place, one after another; its deltas are its text."""
    events = parse_events(await case.response(stream=True))
    open_items: list[str] = []
    pieces = ""
    for event in events:
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert not open_items
                open_items, pieces = [event["item"]["id"]], ""
            case "output_item.done":
                assert open_items == [event["item"]["id"]]
                open_items = []
            case kind if kind.endswith(".delta"):
                assert [event["item_id"]] == open_items
                pieces += event["delta"]
            case "output_text.done" | "refusal.done" | "reasoning_summary_text.done":
                assert event.get("text", event.get("refusal")) == pieces
            case "function_call_arguments.done" | "custom_tool_call_input.done":
                assert event.get("arguments", event.get("input")) == pieces
            case _:
                pass
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == list(
        range(len(done))
    )
    assert events[-1]["response"]["output"] == done


@each([case for case in CASES if case.path.parent.name == "rest"])
async def test_a_stream_of_rest_ends_in_the_very_body_of_a_plain_answer(case: Case):
    """In exactly one `result` or `error`, which comes last."""
    _, _, streamed = (await case.response(stream=True)).partition("\n\n")
    head, _, answer = (await case.response(stream=False)).partition("\n\n")
    if not streamed.startswith(("event: ", ": ")):
        # It failed before anything was streamed: then it is the plain answer.
        assert streamed == answer
        return
    events = [event.split("\n") for event in streamed.removesuffix("\n\n").split("\n\n") if not event.startswith(":")]
    assert [name for name, _ in events if name in {"event: result", "event: error"}] == [events[-1][0]]
    assert (events[-1][0] == "event: result") == head.startswith("HTTP 200")
    assert events[-1][1] == f"data: {answer}"
