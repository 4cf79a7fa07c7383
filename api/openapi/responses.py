"""The operations on responses, for the OpenAPI document. Pure."""

from typing import Any

from api.openapi import response_examples as examples
from api.openapi.operation import REQUEST_ID, answer, json, operation
from api.openapi.replies import ANSWERED, refusals
from api.openapi.structs import Json, reference

ERRORS = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)
NOT_COUNTED = (400, 401, 403, 404, 413, 415, 429, 500, 503)
RESPONSE_ID: Json = {
    "name": "response_id",
    "in": "path",
    "required": True,
    "description": "The response's id.",
    "schema": {"type": "string", "minLength": 1},
    "example": "resp_5d3f0c2a9b7e4f1c",
}


def paths() -> Json:
    """Every path and its operations."""
    one = "/v1/responses/{response_id}"
    return {
        "/v1/responses": {"post": create(), "get": upgrade()},
        "/v1/responses/input_tokens": {"post": count()},
        one: {"get": kept(), "delete": deleted()},
        f"{one}/input_items": {"get": items()},
        f"{one}/cancel": {"post": cancel()},
    }


def create() -> Json:
    """POST /v1/responses."""
    return operation(
        "Responses",
        "createResponse",
        "Answer an input",
        "The model's next items: text, calls of your tools, JSON by your schema, thoughts; whole, or streamed as they are "
        "written. Hanging up ends the answer at once. The response is kept for a while unless `store` is false, so that "
        "`previous_response_id` can go on from it.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference("ResponsesRequest"), examples.REQUESTS)},
        responses={
            "200": answer(
                "The response: one JSON object, or a stream if `stream` is true.",
                {
                    **json(reference("ResponseObject"), examples.ANSWERS),
                    "text/event-stream": {"schema": _event(), "examples": examples.STREAMS},
                },
                ANSWERED,
            ),
            **refusals(ERRORS),
        },
    )


def count() -> Json:
    """POST /v1/responses/input_tokens."""
    return operation(
        "Responses",
        "countInputTokens",
        "Estimate a request's tokens",
        "An estimate, made here without the service; the header `x-token-count` says so. An answer's `usage` has the real "
        "numbers.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference("ResponsesRequest"), examples.REQUESTS)},
        responses={
            "200": answer("The estimate.", json(reference("InputTokens")), ("x-token-count", "x-ignored-parameters")),
            **refusals(NOT_COUNTED),
        },
    )


def upgrade() -> Json:
    """GET /v1/responses."""
    return operation(
        "Responses",
        "tryWebSocket",
        "No WebSocket",
        "Clients that try a WebSocket here are told at once that there is none. POST instead.",
        parameters=[REQUEST_ID],
        responses=refusals((401, 403, 405, 426, 500, 503)),
    )


def _on_kept(name: str, summary: str, description: str, responses: Json, *more: Json) -> Json:
    return operation(
        "Responses", name, summary, description, parameters=[RESPONSE_ID, *more, REQUEST_ID], responses=responses
    )


def kept() -> Json:
    """GET /v1/responses/{response_id}."""
    content = {**json(reference("ResponseObject")), "text/event-stream": {"schema": _event()}}
    found = {"200": answer("The response.", content), **refusals((400, 401, 403, 404, 500, 503))}
    stream = _query("stream", "`true`: the stream of one in the background.", {"enum": ["true", "false"]})
    number = {"type": "integer", "minimum": 0}
    after = _query("starting_after", "The `sequence_number` of the last event that is known.", number)
    about = "One that is still kept for this key, or under way: as it stands, or as its stream."
    return _on_kept("getResponse", "Look up a response", about, found, stream, after)


def deleted() -> Json:
    """DELETE /v1/responses/{response_id}."""
    gone = {
        "200": answer("It is kept no longer.", json(reference("DeletedResponse"))),
        **refusals((401, 403, 404, 500, 503)),
    }
    return _on_kept(
        "deleteResponse", "Delete a response", "Responses that went on from it stay; one under way is ended.", gone
    )


def items() -> Json:
    """GET /v1/responses/{response_id}/input_items."""
    return _on_kept(
        "listInputItems",
        "List what a response answers",
        "The items of its input, after those of the conversation before it.",
        {"200": answer("The items.", json(reference("ItemList"))), **refusals((400, 401, 403, 404, 500, 503))},
        _query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        _query("order", "The newest first, or the oldest.", {"enum": ["desc", "asc"], "default": "desc"}),
        _query("after", "The id of the item after which the page begins.", {"type": "string"}),
    )


def cancel() -> Json:
    """POST /v1/responses/{response_id}/cancel."""
    return _on_kept(
        "cancelResponse",
        "Cancel a response",
        "Ends one that is under way, in the background or streamed. One of the background that has ended is given as it is.",
        {"200": answer("The response.", json(reference("ResponseObject"))), **refusals((400, 401, 403, 404, 500, 503))},
    )


def _event() -> Json:
    """An event of a stream."""
    return {
        "type": "object",
        "description": "Each event has its type as `event` and itself, as JSON, as `data`. The last one has the whole "
        "response: `response.completed`, `response.incomplete` or `response.failed`. Lines that begin with a colon only "
        "keep the connection alive.",
        "properties": {
            "event": {"type": "string", "description": "The event's type."},
            "data": {
                "type": "string",
                "description": "The event.",
                "contentMediaType": "application/json",
                "contentSchema": reference("StreamEvent"),
            },
        },
        "required": ["event", "data"],
    }


def _query(name: str, description: str, schema: dict[str, Any]) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}
