"""The operations of Anthropic's messages, for the OpenAPI document. Pure."""

from api.openapi.operation import REQUEST_ID, answer, json, operation
from api.openapi.replies import ANSWERED_MESSAGES, TITLES, headed
from api.openapi.structs import Json, reference

REFUSED = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504, 529)
NOT_COUNTED = (400, 401, 403, 404, 413, 415, 429, 500, 503)
OVERLOADED = "The model's service is overloaded. Asking again may help"
EVENTS = """\
Anthropic's events in their order: `message_start`; for each block `content_block_start`, `content_block_delta`s and \
`content_block_stop`; `message_delta` with the reason to stop and the tokens; `message_stop`. `ping` keeps the connection \
alive. An error on the way is an `error` event, and the stream ends."""
EXAMPLE: Json = {
    "hello": {
        "summary": "A question",
        "description": "One message, and how much may be written.",
        "value": {"model": "sonnet", "max_tokens": 500, "messages": [{"role": "user", "content": "Hello!"}]},
    }
}


def paths() -> Json:
    """Every path of messages and its operations."""
    return {"/v1/messages": {"post": _message()}, "/v1/messages/count_tokens": {"post": _count()}}


def _message() -> Json:
    stream: Json = {"text/event-stream": {"schema": {"type": "string", "description": EVENTS}}}
    content = {**json(reference("MessageOut")), **stream}
    return operation(
        "Messages",
        "createMessage",
        "Answer a conversation, in Anthropic's form",
        "For clients of Anthropic's API: point them at this server's address. `?beta=true` and the headers of versions and "
        "betas are accepted. Hanging up ends the answer at once.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference("MessagesRequest"), EXAMPLE)},
        responses={
            "200": answer("The answer: one message, or a stream if `stream` is true.", content, ANSWERED_MESSAGES),
            **_refusals(REFUSED),
        },
    )


def _count() -> Json:
    return operation(
        "Messages",
        "countTokens",
        "Estimate a request's tokens",
        "An estimate, made here without the service; the header `x-token-count` says so. An answer's `usage` has the real "
        "numbers.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference("MessagesRequest"), EXAMPLE)},
        responses={
            "200": answer("The estimate.", json(reference("TokenCount")), ("x-token-count",)),
            **_refusals(NOT_COUNTED),
        },
    )


def _refusals(statuses: tuple[int, ...]) -> Json:
    return {
        str(status): {
            "description": f"{TITLES.get(status, OVERLOADED)}.",
            "headers": headed(("x-should-retry",)),
            "content": json(reference("ErrorMessage")),
        }
        for status in statuses
    }
