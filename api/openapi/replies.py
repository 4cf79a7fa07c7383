"""What every response has beside its body: headers, and the ways it can fail, with the codes and sentences of the code. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from api.auth.failed_keys import wrong_keys_problem
from api.auth.middleware import unknown_host_problem
from api.core.endpoint import Endpoint
from api.core.problems import STATUS_AND_CODE, Problem, invalid_problem, problem_from_failure, too_large_problem
from api.core.schema import Json, ref
from api.dialects.anthropic.models import ErrorMessage
from api.dialects.openai_common import ErrorEnvelope, to_error_type
from api.dialects.rest.encode import RestError
from api.http.connections.early_responses import HEAD_TIMED_OUT, HEAD_TOO_LARGE, MALFORMED_REQUEST, TOO_MANY_CONNECTIONS
from api.http.inflight_bodies import capacity_problem
from shared.errors import ErrorKind
from shared.events import Failed

WINDOWS = ("five-hour", "seven-day")


def _header(description: str, schema: Json, *, always: bool = False) -> Json:
    return {"description": description, "schema": schema, **({"required": True} if always else {})}


_OF_KEYS: dict[str, Json] = {
    name: header
    for what in ("requests", "tokens")
    for name, header in {
        f"x-ratelimit-limit-{what}": _header(f"The limit of {what} per minute of the key.", {"type": "integer"}),
        f"x-ratelimit-remaining-{what}": _header(
            f"The remaining {what} of the key in this minute.", {"type": "integer", "minimum": 0}
        ),
        f"x-ratelimit-reset-{what}": _header(
            f"The time until the limit of {what} resets, in seconds, such as `12.500s`.",
            {"type": "string", "pattern": "^[0-9.]+s$"},
        ),
        f"anthropic-ratelimit-{what}-limit": _header(
            f"The limit of {what} per minute of the key.", {"type": "integer"}
        ),
        f"anthropic-ratelimit-{what}-remaining": _header(
            f"The remaining {what} of the key in this minute.", {"type": "integer"}
        ),
        f"anthropic-ratelimit-{what}-reset": _header(
            f"When the limit of {what} resets (RFC 3339).", {"type": "string", "format": "date-time"}
        ),
    }.items()
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
    **{
        f"x-ratelimit-{name}-{what}": _header(words.format(name), schema)
        for name in WINDOWS
        for what, words, schema in (
            (
                "utilization",
                "The used fraction of the subscription's {} window, from 0 to 1, as last reported.",
                {"type": "number", "minimum": 0},
            ),
            ("reset", "Seconds until the {} window resets.", {"type": "integer", "minimum": 0}),
        )
    },
    **_OF_KEYS,
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

_where = "messages[0].content[1]"
OWN: tuple[Problem, ...] = (
    MALFORMED_REQUEST,
    HEAD_TOO_LARGE,
    HEAD_TIMED_OUT,
    TOO_MANY_CONNECTIONS,
    capacity_problem(),
    Problem(400, "invalid_json", "The body is not valid JSON in UTF-8."),
    invalid_problem("`messages[0].role` is missing.", "messages[0].role"),
    invalid_problem(
        "`logit_bias` is not supported: the service has no such parameter.", "logit_bias", "unsupported_parameter"
    ),
    invalid_problem(
        "`response_format.json_schema.schema.type` is not valid JSON Schema: 'objet' is not valid.",
        "response_format.json_schema.schema.type",
        "invalid_schema",
    ),
    invalid_problem(
        "The tool calls `call_1` have no result; send one for each.", "messages[1]", "invalid_tool_results"
    ),
    invalid_problem(f"`{_where}`: the image is empty. Send PNG, JPEG, GIF or WebP.", _where, "invalid_image"),
    invalid_problem(f"`{_where}`: the data is neither a valid data URL nor valid base64.", _where, "invalid_file"),
    invalid_problem(
        f"`{_where}`: this URL can't be fetched: it is not a valid URL. Send the image as a data URL.",
        _where,
        "image_fetch_refused",
    ),
    invalid_problem(f"`{_where}`: the image could not be fetched.", _where, "image_fetch_failed"),
    invalid_problem(
        f"`{_where}`: this URL can't be fetched: it is not a valid URL. Send the file as base64.",
        _where,
        "file_fetch_refused",
    ),
    invalid_problem(f"`{_where}`: the document could not be fetched.", _where, "file_fetch_failed"),
    Problem(400, "invalid_encoding", "The body does not match its Content-Encoding."),
    Problem(
        401, "invalid_api_key", "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`."
    ),
    Problem(404, "not_supported", "This server has no `/v1/embeddings`. Use an embedding model of another service."),
    Problem(
        400,
        "previous_response_not_found",
        "Previous response with id 'resp_1' not found: it was not stored, or it has expired. Send its conversation as "
        "`input`.",
        param="previous_response_id",
    ),
    invalid_problem(
        "`input[1]`: no item with id `msg_1` is stored; send the item itself.", "input[1].id", "item_not_found"
    ),
    invalid_problem(
        "This response has ended. Only a response in progress can be cancelled.",
        "response_id",
        "not_cancellable",
    ),
    Problem(
        404,
        "response_not_found",
        "Response with id 'resp_1' not found: it was not stored, or it has expired.",
        param="response_id",
    ),
    Problem(405, "method_not_allowed", "This address does not support this method."),
    Problem(426, "upgrade_required", "WebSockets are not supported. Use POST with `stream: true`."),
    unknown_host_problem(),
    wrong_keys_problem(60.0),
    Problem(401, "key_disabled", "This key is disabled; the server's owner can enable it again."),
    Problem(401, "key_expired", "This key has expired; ask the server's owner for another one."),
    Problem(403, "missing_scope", "This key does not have the scope `admin`, which this needs; it has: chat."),
    Problem(503, "database_unavailable", "The database does not answer.", retryable=True),
    too_large_problem(),
    Problem(413, "image_too_large", f"`{_where}`: the image is larger than 5 MiB.", param=_where),
    Problem(413, "file_too_large", f"`{_where}`: the file is larger than 20 MiB.", param=_where),
    Problem(415, "unsupported_encoding", "Send the body without Content-Encoding, or with Content-Encoding: gzip."),
)
# Only jobs on files and commands fail with these.
OF_TOOLS = (*(ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE),)
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
