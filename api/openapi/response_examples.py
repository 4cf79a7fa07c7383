"""Requests for responses to copy, and what comes back. Pure."""

from typing import Any

import msgspec

from api.conversation.parameters import Policy
from api.dialects.openai_responses.decode import decode
from api.dialects.openai_responses.encode import ResponsesEncoder
from api.dialects.openai_responses.output_items import ResponsesOutputOptions
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.openai_responses.view import build_response
from api.openapi.examples import HELLO, MODEL, PICTURE, RECIPE, WEATHER
from api.openapi.structs import Json


def _asked(summary: str, description: str, **fields: Any) -> Json:
    return {"summary": summary, "description": description, "value": {"model": "sonnet", **fields}}


_FLAT = {"type": "function", **WEATHER["function"]}

REQUESTS: dict[str, Json] = {
    "hello": _asked("Hello", "The least a request needs.", input="Say hello in three languages."),
    "streaming": _asked(
        "Streaming",
        "Every event as it happens.",
        instructions="You are a poet of few words.",
        input="A haiku about a lighthouse.",
        stream=True,
    ),
    "tools": _asked(
        "Tools",
        "The answer ends with an item that calls `get_weather`.",
        input=[{"role": "user", "content": "Do I need a coat in Oslo?"}],
        tools=[_FLAT],
    ),
    "image": _asked(
        "A picture",
        "As a data URL; an https address works too, unless the server's owner turned that off.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": PICTURE},
                ],
            }
        ],
    ),
    "structured": _asked(
        "A structured answer",
        "The text is JSON that is valid against the schema.",
        input="A quick pancake recipe.",
        text={"format": {"type": "json_schema", "name": "recipe", "strict": True, "schema": RECIPE}},
    ),
}


def _encoder() -> ResponsesEncoder:
    call = decode(msgspec.json.encode(REQUESTS["hello"]["value"]), Policy(), ResponseStore(0, 0, 1).for_key("owner"))
    response = build_response("resp_5d3f0c2a9b7e4f1c", 1767225600, MODEL, call)
    return ResponsesEncoder(response, ResponsesOutputOptions(), lambda: 1767225602)


def _whole() -> Json:
    encoder = _encoder()
    for event in HELLO:
        encoder.encode_event(event)
    return msgspec.json.decode(encoder.encode_answer())


def _stream() -> str:
    encoder = _encoder()
    return b"".join(encoder.encode_event(event) for event in HELLO).decode()


ANSWERS: dict[str, Json] = {"hello": {"summary": "A response", "value": _whole()}}
STREAMS: dict[str, Json] = {"hello": {"summary": "A stream", "value": _stream()}}
