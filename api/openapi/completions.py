"""Legacy completions in the OpenAPI document. Pure."""

from typing import Any

import msgspec

from api.dialects.openai_completions.encode import CompletionEncoder
from api.openapi.replies import ANSWERED, headed, refusals
from api.openapi.structs import Json, reference
from shared.events import Done, Event, Started, TextDelta, Usage

STATUSES = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)
MODEL = "claude-haiku-4-5"
SAID: tuple[Event, ...] = (
    Started(MODEL),
    TextDelta("    return "),
    TextDelta("a + b"),
    Done("end_turn", Usage(52, 9), 0.0001),
)
REQUESTS: Json = {
    "continue": {
        "summary": "Continue a text",
        "description": "The answer is what comes next.",
        "value": {"model": "haiku", "prompt": "The three primary colours are", "max_tokens": 500},
    },
    "fill": {
        "summary": "Fill a gap",
        "description": "The answer is what belongs between `prompt` and `suffix`, as editors ask for it.",
        "value": {
            "model": "haiku",
            "prompt": "def add(a, b):\n",
            "suffix": "\n\nprint(add(1, 2))",
            "stop": "\n\n",
            "stream": True,
        },
    },
}
EVENT: Json = {
    "type": "object",
    "description": "Each event's `data` is a piece as JSON; after the last one comes `[DONE]`. An error that comes up on the "
    "way is an event too: `data` is the body of an error, and the stream ends. Lines that begin with a colon only keep the "
    "connection alive.",
    "properties": {
        "data": {
            "type": "string",
            "description": "A piece, an error, or `[DONE]`.",
            "anyOf": [
                {
                    "contentMediaType": "application/json",
                    "contentSchema": {"anyOf": [reference("TextCompletion"), reference("ErrorEnvelope")]},
                },
                {"const": "[DONE]"},
            ],
        }
    },
    "required": ["data"],
}


def completion(request_id: Json) -> Json:
    """POST /v1/completions."""
    return {
        "tags": ["Chat"],
        "operationId": "createCompletion",
        "summary": "Complete a text (legacy)",
        "description": "For editors that still ask this way. The model is told to continue `prompt`, or to fill the gap "
        "between it and `suffix`. Hanging up ends the answer at once.",
        "parameters": [request_id],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference("CompletionRequest"), "examples": REQUESTS}},
        },
        "responses": {
            "200": {
                "description": "The answer: one JSON object, or a stream if `stream` is true.",
                "headers": headed(ANSWERED),
                "content": {
                    "application/json": {"schema": reference("TextCompletion"), "examples": {"fill": _shown(whole())}},
                    "text/event-stream": {"schema": EVENT, "examples": {"fill": _shown(stream())}},
                },
            },
            **refusals(STATUSES),
        },
    }


def _encoder() -> CompletionEncoder:
    return CompletionEncoder("cmpl-0b1c2d3e4f5a", 1_795_465_498, MODEL, [""])


def whole() -> Any:
    """An answer."""
    encoder = _encoder()
    for event in SAID:
        encoder.encode_event(event)
    return msgspec.json.decode(encoder.encode_answer())


def stream() -> str:
    """The same as a stream."""
    encoder = _encoder()
    return b"".join(encoder.encode_event(event) for event in SAID).decode()


def _shown(value: Any) -> Json:
    return {"summary": "A gap filled", "value": value}
