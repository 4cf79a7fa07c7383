"""What every response has beside its body: headers, and the ways it can fail, with the codes and sentences of the code. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from api.auth.failed_keys import wrong_keys_problem
from api.auth.middleware import unknown_host_problem
from api.core.endpoint import Endpoint
from api.core.problems import STATUS_AND_CODE, Problem, problem_from_failure, too_large_problem
from api.core.schema import Json, ref
from api.dialects.anthropic.models import ErrorMessage
from api.dialects.openai_common import ErrorEnvelope, to_error_type
from api.dialects.rest.encode import RestError
from api.http.connections.early_responses import HEAD_TIMED_OUT, HEAD_TOO_LARGE, MALFORMED_REQUEST, TOO_MANY_CONNECTIONS
from api.http.inflight_bodies import capacity_problem
from shared.errors import ErrorKind
from shared.events import Failed


def _header(description: str, schema: Json, *, always: bool = False) -> Json:
    return {"description": description, "schema": schema, **({"required": True} if always else {})}


def _describe_each(names: Iterable[str], *headers: tuple[str, str, Json]) -> dict[str, Json]:
    """Returns headers whose names and descriptions contain what they count."""
    return {
        template.format(name): _header(description.format(name), schema)
        for name in names
        for template, description, schema in headers
    }


HEADERS: dict[str, Json] = {
    "x-request-id": _header(
        "The id of the request, which the server's log contains too. If you send your own (1 to 128 letters, digits, "
        "`-`, `_` or `.`), the server uses it.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        always=True,
    ),
    "openai-processing-ms": _header(
        "The time from the request to the start of the response, in milliseconds.",
        {"type": "integer", "minimum": 0},
        always=True,
    ),
    "x-should-retry": _header(
        "Whether a retry of the same request may succeed. The official OpenAI libraries follow it.",
        {"enum": ["true", "false"]},
        always=True,
    ),
    "retry-after": _header("Seconds to wait before a retry, if known.", {"type": "integer", "minimum": 1}),
    "retry-after-ms": _header("Milliseconds to wait before a retry, if known.", {"type": "integer", "minimum": 1}),
    "www-authenticate": _header("Always `Bearer`.", {"const": "Bearer"}, always=True),
    "x-cost-usd": _header(
        "The cost of the answer in US dollars, as the Claude Code CLI reported it. Only without streaming: the headers "
        "of a stream are sent before the cost is known (see `usage.cost_usd`).",
        {"type": "number", "minimum": 0},
    ),
    "x-ignored-parameters": _header("The ignored parameters of the request, separated by commas.", {"type": "string"}),
    "x-altered-parameters": _header(
        "The places of the request's JSON that the Claude Code CLI alters, separated by commas, such as "
        "`messages[1]: $.id`: for example numbers that a double cannot represent, or the order of properties.",
        {"type": "string"},
    ),
    "x-conversation": _header(
        "`held`: a CLI process that holds the conversation continued it. `replayed; reason=…`: another process received "
        "the whole conversation, and why.",
        {"type": "string"},
    ),
    "x-claude-api-server-mode": _header(
        "`offline`: the server has no Claude login, and the offline model answered.", {"const": "offline"}
    ),
    "x-token-count": _header(
        "Always `estimate`: the server estimates the number of tokens.", {"const": "estimate"}, always=True
    ),
    **_describe_each(
        ("five-hour", "seven-day"),
        (
            "x-ratelimit-{}-utilization",
            "The used fraction of the subscription's {} window, from 0 to 1, as last reported.",
            {"type": "number", "minimum": 0},
        ),
        ("x-ratelimit-{}-reset", "Seconds until the {} window resets.", {"type": "integer", "minimum": 0}),
    ),
    **_describe_each(
        ("requests", "tokens"),
        ("x-ratelimit-limit-{}", "The limit of {} per minute of the key.", {"type": "integer"}),
        ("x-ratelimit-remaining-{}", "The remaining {} of the key in this minute.", {"type": "integer", "minimum": 0}),
        (
            "x-ratelimit-reset-{}",
            "The time until the limit of {} resets, in seconds, such as `12.500s`.",
            {"type": "string", "pattern": "^[0-9.]+s$"},
        ),
        ("anthropic-ratelimit-{}-limit", "The limit of {} per minute of the key.", {"type": "integer"}),
        ("anthropic-ratelimit-{}-remaining", "The remaining {} of the key in this minute.", {"type": "integer"}),
        (
            "anthropic-ratelimit-{}-reset",
            "When the limit of {} resets (RFC 3339).",
            {"type": "string", "format": "date-time"},
        ),
    ),
}

ALWAYS = ("x-request-id", "openai-processing-ms")
ANSWERED = tuple(
    name for name in HEADERS if name.startswith(("x-cost", "x-ignored", "x-altered", "x-claude", "x-ratelimit"))
)

TITLES = {
    400: "The request is not valid; `param` names the field",
    401: "The key is missing or not valid",
    402: "The answer would exceed the budget",
    403: "The key lacks a permission",
    404: "Unknown endpoint, model, file, key or stored response",
    405: "The endpoint does not support this method",
    408: "The request did not arrive in time",
    409: "A key with this name exists",
    413: "The request, or a part of it, is too large",
    415: "The `Content-Encoding` of the body is not supported",
    421: "The `Host` header names another server",
    426: "WebSockets are not supported",
    429: "A rate limit or budget is exceeded",
    431: "The request headers are too large",
    500: "Internal error; the server's log has the details",
    502: "The service did not complete the answer",
    503: "The server is overloaded or unavailable",
    504: "The answer was not completed in time",
    529: "The model's service is overloaded",
}

_part = "messages[0].content[1]"
_schema = "response_format.json_schema.schema.type"
_unfetched = "this URL can't be fetched: it is not a valid URL."
# Errors with a status, a code, the parameter and the message.
_EXAMPLES: tuple[tuple[int, str, str | None, str], ...] = (
    (400, "invalid_json", None, "The body is not valid JSON in UTF-8."),
    (400, "invalid_value", "messages[0].role", "`messages[0].role` is missing."),
    (400, "unsupported_parameter", "logit_bias", "`logit_bias` is not supported: the service has no such parameter."),
    (400, "invalid_schema", _schema, f"`{_schema}` is not valid JSON Schema: 'objet' is not valid."),
    (400, "invalid_tool_results", "messages[1]", "The tool calls `call_1` have no result; send one for each."),
    (400, "invalid_image", _part, f"`{_part}`: the image is empty. Send PNG, JPEG, GIF or WebP."),
    (400, "invalid_file", _part, f"`{_part}`: the data is neither a valid data URL nor valid base64."),
    (400, "image_fetch_refused", _part, f"`{_part}`: {_unfetched} Send the image as a data URL."),
    (400, "image_fetch_failed", _part, f"`{_part}`: the image could not be fetched."),
    (400, "file_fetch_refused", _part, f"`{_part}`: {_unfetched} Send the file as base64."),
    (400, "file_fetch_failed", _part, f"`{_part}`: the document could not be fetched."),
    (400, "invalid_encoding", None, "The body does not match its Content-Encoding."),
    (401, "invalid_api_key", None, "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`."),
    (404, "not_supported", None, "This server has no `/v1/embeddings`. Use an embedding model of another service."),
    (
        *(400, "previous_response_not_found", "previous_response_id"),
        "Previous response with id 'resp_1' not found: it was not stored, or it has expired. Send its conversation as `input`.",
    ),
    (400, "item_not_found", "input[1].id", "`input[1]`: no item with id `msg_1` is stored; send the item itself."),
    (
        *(400, "not_cancellable", "response_id"),
        "This response has ended. Only a response in progress can be cancelled.",
    ),
    (
        *(404, "response_not_found", "response_id"),
        "Response with id 'resp_1' not found: it was not stored, or it has expired.",
    ),
    (405, "method_not_allowed", None, "This address does not support this method."),
    (426, "upgrade_required", None, "WebSockets are not supported. Use POST with `stream: true`."),
    (401, "key_disabled", None, "This key is disabled; the server's owner can enable it again."),
    (401, "key_expired", None, "This key has expired; ask the server's owner for another one."),
    (403, "missing_scope", None, "This key does not have the scope `admin`, which this needs; it has: chat."),
    (413, "image_too_large", _part, f"`{_part}`: the image is larger than 5 MiB."),
    (413, "file_too_large", _part, f"`{_part}`: the file is larger than 20 MiB."),
    (415, "unsupported_encoding", None, "Send the body without Content-Encoding, or with Content-Encoding: gzip."),
)
OWN: tuple[Problem, ...] = (
    *(MALFORMED_REQUEST, HEAD_TOO_LARGE, HEAD_TIMED_OUT, TOO_MANY_CONNECTIONS),
    *(capacity_problem(), unknown_host_problem(), wrong_keys_problem(60.0), too_large_problem()),
    Problem(503, "database_unavailable", "The database does not answer.", retryable=True),
    *(Problem(status, code, message, param=param) for status, code, param, message in _EXAMPLES),
)
# Only jobs on files and commands fail with these.
OF_TOOLS = (ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE)
CHAT_PROBLEMS = (*OWN, *(problem_from_failure(Failed(kind)) for kind in STATUS_AND_CODE if kind not in OF_TOOLS))


# Every request can be rejected with these before the server has read it.
AT_THE_EDGE = (400, 408, 431, 503)
CHAT_ERRORS = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)


def with_headers(names: Iterable[str]) -> Json:
    """Returns references to these headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*ALWAYS, *names)}


def list_error_statuses(path: str, endpoint: Endpoint, *, has_parameters: bool) -> list[int]:
    """Returns the statuses of failed requests to an endpoint."""
    statuses = {401, 403, 500, *AT_THE_EDGE, *endpoint.errors, *((404,) if has_parameters else ())}
    if endpoint.body:
        statuses |= {*CHAT_ERRORS, *((529,) if path.startswith("/v1/messages") else ())}
    return sorted(statuses)


def list_errors(path: str, statuses: Iterable[int]) -> dict[str, Json]:
    """Returns the error responses of an endpoint by status, in the format of its dialect."""
    if path.startswith("/v1/messages"):
        return {str(status): _describe_error(status, ErrorMessage) for status in statuses}
    if path.startswith("/api/"):
        return {str(status): _describe_error(status, RestError) for status in statuses}
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def build_error_responses() -> dict[str, Json]:
    """Returns the error responses in OpenAI's format by name, with an example of every code."""
    return {
        f"Error{status}": _describe_error(
            status,
            ErrorEnvelope,
            {problem.code: _example(problem) for problem in CHAT_PROBLEMS if problem.status == status},
        )
        for status in TITLES
        if status not in {409, 529}
    }


def _describe_error(status: int, envelope: type[Struct], examples: Json | None = None) -> Json:
    names = ("x-should-retry", *(("www-authenticate",) if status == 401 and examples else ()))
    content = {"schema": ref(envelope.__name__), **({"examples": examples} if examples else {})}
    return {
        "description": f"{TITLES[status]}.",
        "headers": with_headers((*names, *(("retry-after", "retry-after-ms") if status in {429, 503} else ()))),
        "content": {"application/json": content},
    }


def _example(problem: Problem) -> Json:
    kind = to_error_type(problem.status, problem.code)
    body = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}
    return {"summary": "A retry may help." if problem.retryable else "", "value": {"error": body}}
