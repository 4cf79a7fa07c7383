"""Canonical events in, exact bytes out, for every shape of an answer.

A case is a file in the folder of its dialect; a new one needs no code:

    # what it shows
    # wire: 29 31                                 the numbers of the wire checklist it proves, if any
    > {"include_usage": true, "choices": 2}       how the answer was asked for, if not as usual
    {"type": "started", "model": "claude-x"}      an event a line
    1 {"type": "text", "text": "Hi"}              … of the second answer
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
from litestar.types import Message, Scope
from openai._models import construct_type
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from api.openai_chat.encode import ChatEncoder, Form
from api.respond import Answer, Encoder
from api.side_by_side import Numbered
from shared.events import Event

FOLDER = Path(__file__).parent
DASHES = re.compile(r"(?m)^-{10}\n")
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))

type Options = dict[str, Any]

_event = msgspec.json.Decoder[Event](Event)


def openai_chat(options: Options) -> Encoder[Event]:
    """The encoder of chat completions, with an id and a time that stay."""
    form = Form(
        include_usage=options.get("include_usage", False),
        custom=frozenset(options.get("custom", ())),
        legacy=options.get("legacy", False),
    )
    return ChatEncoder("chatcmpl-golden", 1_700_000_000, "sonnet", form, options.get("choices", 1))


DIALECTS: dict[str, Callable[[Options], Encoder[Event]]] = {"openai_chat": openai_chat}


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
        await Answer(self._played(), encoder, stream=stream, keep_alive=60)(no_scope(), receive, send)
        head, *bodies = messages
        assert head["type"] == "http.response.start"
        lines = [f"HTTP {head['status']}", *(f"{n.decode()}: {v.decode()}" for n, v in head["headers"]), "", ""]
        return "\n".join(lines) + b"".join(body.get("body", b"") for body in bodies).decode()

    async def _played(self) -> AsyncGenerator[Numbered]:
        for event in self.events:
            yield event


def no_scope() -> Scope:
    """An answer does not look at the request."""
    scope: Any = {}
    return scope


def numbered(line: str) -> Numbered:
    """An event, and which of the answers it belongs to: the first, unless the line says another."""
    number, brace, rest = line.partition("{")
    return int(number or 0), _event.decode(brace + rest)


CASES = [Case(path) for path in sorted(FOLDER.glob("*/*.txt"))]
CHATS = [case for case in CASES if case.path.parent.name == "openai_chat"]


def each(cases: list[Case]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Run a test for each case, which carries its numbers of the checklist."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.path.stem, marks=[pytest.mark.wire(*case.wire)] if case.wire else [])
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
    whole = ChatCompletion.model_validate_json(body, strict=True).model_dump(exclude_none=True)
    streamed = without_index(state.current_completion_snapshot.model_dump(exclude_none=True))
    if not case.options.get("include_usage"):
        del whole["usage"]
    assert streamed["choices"] == whole["choices"]
    assert streamed.get("usage") == whole.get("usage")


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
