"""Example answers and streams, written by the encoders of the real answers. Pure."""

from collections.abc import Iterable

import msgspec

from api.conversation.parameters import Policy
from api.core.schema import Json
from api.dialects.openai_chat.encode import ChatEncoder, ChatOutputOptions
from api.dialects.openai_completions.encode import CompletionEncoder
from api.dialects.openai_responses.decode import decode
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.output_items import ResponsesOutputOptions
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import build_response
from api.http.event_stream import Encoder
from api.openapi.example_requests import CALL, RESPONSES
from shared.events import (
    Done,
    Event,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
)

MODEL = "claude-sonnet-4-6"
CREATED = 1767225600


def _events(*events: Event, reason: StopReason = "end_turn") -> tuple[Event, ...]:
    return (Started(MODEL), *events, Done(reason, Usage(14, 23, cache_read_tokens=1180), 0.00084))


HELLO = _events(TextDelta("Hello! "), TextDelta("¡Hola! Bonjour !"))
THOUGHT = _events(ThinkingDelta("2, 3, 5, 7, 11, 13, …, 53, 59: that is 17."), TextDelta("There are 17."))
CALLED = _events(
    ToolCall(CALL["id"], "get_weather"), ToolArgumentsDelta(CALL["function"]["arguments"]), reason="tool_use"
)
FILLED = _events(TextDelta("    return "), TextDelta("a + b"))


def _chat() -> Encoder[Event]:
    return ChatEncoder("chatcmpl-5d3f0c2a9b7e4f1c", CREATED, MODEL, ChatOutputOptions(include_usage=True))


def _completion() -> Encoder[Event]:
    return CompletionEncoder("cmpl-0b1c2d3e4f5a", CREATED, MODEL, [""])


def _response() -> Encoder[Event]:
    call = decode(msgspec.json.encode(RESPONSES["hello"]["value"]), Policy(), ResponseStore(0, 0, 1).for_key("owner"))
    response = build_response("resp_5d3f0c2a9b7e4f1c", CREATED, MODEL, call)
    return ResponsesEncoder(response, ResponsesOutputOptions(), lambda: CREATED + 2)


def _answer(summary: str, encoder: Encoder[Event], events: Iterable[Event]) -> Json:
    for event in events:
        encoder.encode_event(event)
    return {"summary": summary, "value": msgspec.json.decode(encoder.encode_answer())}


def _stream(encoder: Encoder[Event], events: Iterable[Event]) -> dict[str, Json]:
    text = b"".join(encoder.encode_event(event) for event in events).decode()
    return {"stream": {"summary": "A stream", "value": text}}


# By operation id.
ANSWERS: dict[str, dict[str, Json]] = {
    "createChatCompletion": {
        "hello": _answer("An answer", _chat(), HELLO),
        "tools": _answer("A tool call", _chat(), CALLED),
        "reasoning": _answer("With reasoning", _chat(), THOUGHT),
    },
    "createCompletion": {"fill": _answer("A filled gap", _completion(), FILLED)},
    "createResponse": {"hello": _answer("A response", _response(), HELLO)},
}
STREAMS: dict[str, dict[str, Json]] = {
    "createChatCompletion": _stream(_chat(), HELLO),
    "createCompletion": _stream(_completion(), FILLED),
    "createResponse": _stream(_response(), HELLO),
}
