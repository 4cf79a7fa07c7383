"""Every operation of the service, for the OpenAPI document. Pure."""

from api.openapi import examples, messages, responses
from api.openapi.completions import completion
from api.openapi.operation import REQUEST_ID, answer, json, operation
from api.openapi.replies import ANSWERED, refusals
from api.openapi.structs import Json, reference

CHAT_ERRORS = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)


def paths() -> Json:
    """Every path and its operations."""
    return {
        "/v1/chat/completions": {"post": chat()},
        "/v1/completions": {"post": completion(REQUEST_ID)},
        **responses.paths(),
        **messages.paths(),
        "/v1/models": {"get": models()},
        "/v1/models/{model_id}": {"get": model()},
        "/health": {"get": health()},
        "/health/live": {"get": live()},
        "/health/ready": {"get": ready()},
        "/metrics": {"get": metrics()},
        "/": {"get": about("getRoot")},
        "/v1": {"get": about("getV1")},
        "/openapi.json": {"get": shown("getOpenapi", "This document", "application/json", {"type": "object"})},
        "/docs": {"get": shown("getDocs", "This page", "text/html", {"type": "string"})},
    }


def chat() -> Json:
    """POST /v1/chat/completions."""
    event: Json = {
        "type": "object",
        "description": "Each event's `data` is a chunk as JSON; after the last one comes `[DONE]`. An error that comes "
        "up on the way is an event too: `data` is the body of an error, and the stream ends. Lines that begin with a "
        "colon only keep the connection alive.",
        "properties": {
            "data": {
                "type": "string",
                "description": "A chunk, an error, or `[DONE]`.",
                "anyOf": [
                    {
                        "contentMediaType": "application/json",
                        "contentSchema": {"anyOf": [reference("ChatCompletionChunk"), reference("ErrorEnvelope")]},
                    },
                    {"const": "[DONE]"},
                ],
            }
        },
        "required": ["data"],
    }
    return operation(
        "Chat",
        "createChatCompletion",
        "Answer a conversation",
        "The model's next message: text, calls of your tools, or JSON by your schema; whole, or streamed as it is "
        "written. Hanging up ends the answer at once. Bodies may be packed with `Content-Encoding: gzip`, and are read as "
        "JSON whatever their `Content-Type` says.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference("ChatCompletionRequest"), examples.REQUESTS)},
        responses={
            "200": answer(
                "The answer: one JSON object, or a stream if `stream` is true.",
                {
                    **json(reference("ChatCompletion"), examples.ANSWERS),
                    "text/event-stream": {"schema": event, "examples": examples.STREAMS},
                },
                ANSWERED,
            ),
            **refusals(CHAT_ERRORS),
        },
    )


def models() -> Json:
    """GET /v1/models."""
    found = json(reference("ModelList"))
    return operation(
        "Models",
        "listModels",
        "List the models",
        "Every name that a request may use: the ids that the account offers, the CLI's own names, and names that stand "
        "for another.",
        parameters=[REQUEST_ID],
        responses={"200": answer("The models.", found), **refusals((401, 500, 503))},
    )


def model() -> Json:
    """GET /v1/models/{model_id}."""
    where: Json = {
        "name": "model_id",
        "in": "path",
        "required": True,
        "description": "The model's id.",
        "schema": {"type": "string", "minLength": 1},
        "example": "sonnet",
    }
    return operation(
        "Models",
        "getModel",
        "Look up a model",
        "One of the names that `GET /v1/models` lists.",
        parameters=[where, REQUEST_ID],
        responses={"200": answer("The model.", json(reference("ModelObject"))), **refusals((401, 404, 500, 503))},
    )


def state(*values: str) -> Json:
    """The body of a simple question about health."""
    status: Json = {"status": {"enum": [*values], "description": "How it is."}}
    return json({"type": "object", "properties": status, "required": ["status"]})


def health() -> Json:
    """GET /health."""
    return operation(
        "Health",
        "getHealth",
        "How is the server?",
        "Its executors, its CLI, whether it has a login. A caller with a key also sees the subscription's usage windows.",
        security=[{}, {"bearer": []}, {"key": []}],
        responses={"200": answer("How it is; 200 while it answers at all.", json(reference("Health")))},
    )


def live() -> Json:
    """GET /health/live."""
    return operation(
        "Health",
        "getLive",
        "Is the process alive?",
        "For supervisors: start the process anew if this does not answer.",
        security=[],
        responses={"200": answer("It is.", state("live"))},
    )


def ready() -> Json:
    """GET /health/ready."""
    return operation(
        "Health",
        "getReady",
        "Would a chat be answered now?",
        "For load balancers: send requests elsewhere while this is 503.",
        security=[],
        responses={
            "200": answer("It would.", state("ready")),
            "503": answer("It would not.", state("down", "draining")),
        },
    )


def about(name: str) -> Json:
    """GET / and GET /v1."""
    words = {
        "name": "What this is.",
        "health": "Where to ask how it is.",
        "models": "Where the models are.",
        "docs": "Where this page is.",
    }
    properties = {field: {"type": "string", "description": description} for field, description in words.items()}
    schema: Json = {"type": "object", "properties": properties, "required": list(properties)}
    return operation(
        "About",
        name,
        "What is here?",
        "For clients and people that look here first.",
        security=[],
        responses={"200": answer("Where everything is.", json(schema))},
    )


def metrics() -> Json:
    """GET /metrics."""
    return operation(
        "Health",
        "getMetrics",
        "Every number",
        "For Prometheus. Machines of METRICS_ALLOW need no key.",
        parameters=[REQUEST_ID],
        responses={
            "200": answer("The numbers, in Prometheus' text format.", {"text/plain": {"schema": {"type": "string"}}}),
            **refusals((401, 403, 421, 500, 503)),
        },
    )


def shown(name: str, summary: str, media_type: str, schema: Json) -> Json:
    """GET /openapi.json and GET /docs."""
    description = "Made by this server of its own code; it needs nothing from elsewhere."
    content: Json = {media_type: {"schema": schema}}
    return operation(
        "About", name, summary, description, security=[], responses={"200": answer(f"{summary}.", content)}
    )
