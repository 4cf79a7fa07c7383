"""Requests to copy, and what comes back. Pure."""

from typing import Any

import msgspec

from api.dialects.openai_chat.encode import ChatEncoder, ChatOutputOptions
from api.openapi.structs import Json
from shared.events import Done, Event, Started, TextDelta, ThinkingDelta, ToolArgumentsDelta, ToolCall, Usage

MODEL = "claude-sonnet-4-6"
# A red dot on white, 32 pixels a side.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAW0lEQVR42mP4T2PAMGrBkLHgjpoaGqKOBZ"
    "jmkmoTA4WmE7SDgXLT8dvBQBXT8djBQC3Tcdkx/CygxHSsdoxaMAItGM1og6Kwo0dxTY8Khx5VJj0q/dGG13CwAACqbjUI2tLq3AAAAA"
    "BJRU5ErkJggg=="
)
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}
CALL: Json = {
    "id": "toolu_01A09q90qw90lq917835lq9",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo", "unit": "celsius"}'},
}
RECIPE: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "minutes": {"type": "integer"},
        "ingredients": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "minutes", "ingredients"],
    "additionalProperties": False,
}


def _user(content: Any) -> Json:
    return {"role": "user", "content": content}


def _asked(summary: str, description: str, **fields: Any) -> Json:
    return {"summary": summary, "description": description, "value": {"model": "sonnet", **fields}}


REQUESTS: dict[str, Json] = {
    "hello": _asked("Hello", "The least a request needs.", messages=[_user("Say hello in three languages.")]),
    "streaming": _asked(
        "Streaming",
        "The answer as it is written, and its tokens in a last chunk.",
        messages=[
            {"role": "system", "content": "You are a poet of few words."},
            _user("A haiku about a lighthouse."),
        ],
        stream=True,
        stream_options={"include_usage": True},
    ),
    "tools": _asked(
        "Tools, first turn",
        "The answer ends with a call of `get_weather`, its arguments as JSON.",
        messages=[_user("Do I need a coat in Oslo?")],
        tools=[WEATHER],
    ),
    "tools_second_turn": _asked(
        "Tools, second turn",
        "The assistant's message comes back as it was, and the call's result after it.",
        messages=[
            _user("Do I need a coat in Oslo?"),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": CALL["id"], "content": '{"temperature": -4, "sky": "snow"}'},
        ],
        tools=[WEATHER],
    ),
    "image": _asked(
        "A picture",
        "As a data URL; an https address works too, unless the server's owner turned that off.",
        messages=[
            _user([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}])
        ],
    ),
    "structured": _asked(
        "A structured answer",
        "`content` is JSON that is valid against the schema.",
        messages=[_user("A quick pancake recipe.")],
        response_format={"type": "json_schema", "json_schema": {"name": "recipe", "strict": True, "schema": RECIPE}},
    ),
    "reasoning": _asked(
        "Reasoning",
        "More thinking before the answer; it is streamed as `reasoning_content`.",
        messages=[_user("How many primes are there below 60?")],
        reasoning_effort="high",
        stream=True,
    ),
}


def _events(*said: Event, reason: Any = "end_turn") -> tuple[Event, ...]:
    return (Started(MODEL), *said, Done(reason, Usage(14, 23, cache_read_tokens=1180), 0.00084))


HELLO = _events(TextDelta("Hello! "), TextDelta("¡Hola! Bonjour !"))
THOUGHT = _events(ThinkingDelta("2, 3, 5, 7, 11, 13, …, 53, 59: that is 17."), TextDelta("There are 17."))
CALLED = _events(
    ToolCall(CALL["id"], "get_weather"), ToolArgumentsDelta(CALL["function"]["arguments"]), reason="tool_use"
)


def _encoder(form: ChatOutputOptions) -> ChatEncoder:
    return ChatEncoder("chatcmpl-5d3f0c2a9b7e4f1c", 1767225600, MODEL, form)


def _whole(events: tuple[Event, ...]) -> Json:
    encoder = _encoder(ChatOutputOptions())
    for event in events:
        encoder.encode_event(event)
    return msgspec.json.decode(encoder.encode_answer())


def stream(events: tuple[Event, ...] = HELLO) -> str:
    """A stream, to the byte as the service writes it."""
    encoder = _encoder(ChatOutputOptions(include_usage=True))
    return b"".join(encoder.encode_event(event) for event in events).decode()


ANSWERS: dict[str, Json] = {
    "hello": {"summary": "An answer", "value": _whole(HELLO)},
    "tools": {"summary": "A call", "value": _whole(CALLED)},
    "reasoning": {"summary": "With thoughts", "value": _whole(THOUGHT)},
}
STREAMS: dict[str, Json] = {"hello": {"summary": "A stream", "value": stream()}}
