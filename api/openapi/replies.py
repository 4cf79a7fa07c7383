"""What every response has beside its body: headers, and the ways it can fail, with the codes and sentences of the code. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from api.auth.failed_keys import wrong_keys_problem
from api.auth.middleware import unknown_host_problem
from api.core.endpoint import Endpoint
from api.core.problems import STATUS_AND_CODE, Problem, invalid_problem, problem_from_failure
from api.core.schema import Json, ref
from api.dialects.anthropic.models import ErrorMessage
from api.dialects.openai_common import ErrorEnvelope, to_error_type
from api.dialects.rest.models import RestError
from api.http.early_responses import HEAD_TIMED_OUT, HEAD_TOO_LARGE, MALFORMED_REQUEST, TOO_MANY_CONNECTIONS
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
        f"x-ratelimit-limit-{what}": _header(f"How many {what} the key has in a minute.", {"type": "integer"}),
        f"x-ratelimit-remaining-{what}": _header(f"How many {what} it has left.", {"type": "integer", "minimum": 0}),
        f"x-ratelimit-reset-{what}": _header(
            f"When {what} are reset, such as `12.500s`.", {"type": "string", "pattern": "^[0-9.]+s$"}
        ),
        f"anthropic-ratelimit-{what}-limit": _header(f"How many {what} the key has in a minute.", {"type": "integer"}),
        f"anthropic-ratelimit-{what}-remaining": _header(f"How many {what} it has left.", {"type": "integer"}),
        f"anthropic-ratelimit-{what}-reset": _header(
            f"When {what} are reset (RFC 3339).", {"type": "string", "format": "date-time"}
        ),
    }.items()
}

HEADERS: dict[str, Json] = {
    "x-request-id": _header(
        "The request's id, which the server's log has too. Send your own (1 to 128 of letters, digits, `-`, `_`, `.`) "
        "and it is kept.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        always=True,
    ),
    "openai-processing-ms": _header(
        "The time until this response began, in milliseconds.", {"type": "integer", "minimum": 0}, always=True
    ),
    "x-should-retry": _header(
        "Whether the same request may succeed later by itself. The official OpenAI libraries obey it.",
        {"enum": ["true", "false"]},
        always=True,
    ),
    "retry-after": _header(
        "Seconds to wait before asking again, where that is known.", {"type": "integer", "minimum": 1}
    ),
    "retry-after-ms": _header("The same in milliseconds.", {"type": "integer", "minimum": 1}),
    "www-authenticate": _header("Always `Bearer`.", {"const": "Bearer"}, always=True),
    "x-cost-usd": _header(
        "What the answer cost by the Claude Code CLI's own count, in US dollars; of a whole answer only, since a "
        "stream's headers are sent before it is known (see `usage.cost_usd`).",
        {"type": "number", "minimum": 0},
    ),
    "x-ignored-parameters": _header(
        "The parameters of the request that had no effect, with commas between them.", {"type": "string"}
    ),
    "x-altered-parameters": _header(
        "The places of the request's JSON that the Claude Code CLI alters, with commas between them: numbers that a "
        "double does not hold, orders of properties, and their like, as `messages[1]: $.id`.",
        {"type": "string"},
    ),
    "x-claude-api-server-mode": _header(
        "`offline`: the server has no Claude login, and a stand-in answered.", {"const": "offline"}
    ),
    "x-token-count": _header("Always `estimate`: how the tokens were counted.", {"const": "estimate"}, always=True),
    **{
        f"x-ratelimit-{name}-{what}": _header(words.format(name), schema)
        for name in WINDOWS
        for what, words, schema in (
            (
                "utilization",
                "How much of the subscription's {} window is used, from 0 to 1, as last reported.",
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
    400: "The request says something it may not; `param` names the field",
    401: "No key, or a wrong one",
    402: "It costs more than may be spent",
    403: "The key may not do this",
    404: "There is no such model, file, key or stored response, or no such endpoint",
    405: "The address does not take this method",
    408: "The request did not come in time",
    409: "A key has that name already",
    413: "The request, or something in it, is too large",
    415: "The body is packed in a way that is not known here",
    421: "The request names another server",
    426: "There is no WebSocket",
    429: "Not now: a limit is reached",
    431: "The headers are too large",
    500: "A fault of the server's own; its log says more",
    502: "No whole answer was had",
    503: "Nothing can answer now",
    504: "The answer was not complete in time",
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
    invalid_problem("`logprobs` is not supported: the service does not offer it.", "logprobs", "unsupported_parameter"),
    invalid_problem(
        "`response_format.json_schema.schema.type` is not valid JSON Schema: 'objet' is not valid.",
        "response_format.json_schema.schema.type",
        "invalid_schema",
    ),
    invalid_problem(
        "The tool calls `call_1` have no result; send one for each.", "messages[1]", "invalid_tool_results"
    ),
    invalid_problem(f"`{_where}`: the picture is empty. Send PNG, JPEG, GIF or WebP.", _where, "invalid_image"),
    invalid_problem(f"`{_where}`: neither a data URL nor base64 that can be decoded.", _where, "invalid_file"),
    invalid_problem(f"`{_where}`: nothing is fetched from this address.", _where, "image_fetch_refused"),
    invalid_problem(f"`{_where}`: the picture could not be fetched.", _where, "image_fetch_failed"),
    invalid_problem(f"`{_where}`: nothing is fetched from this address.", _where, "file_fetch_refused"),
    invalid_problem(f"`{_where}`: the document could not be fetched.", _where, "file_fetch_failed"),
    Problem(400, "invalid_encoding", "The body is not what its Content-Encoding says."),
    Problem(
        401, "invalid_api_key", "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`."
    ),
    Problem(404, "not_supported", "This server has no `/v1/embeddings`. Use an embedding model of another service."),
    Problem(
        400,
        "previous_response_not_found",
        "Previous response with id 'resp_1' not found: it was not stored, or is kept no longer. Send its conversation as "
        "`input`.",
        param="previous_response_id",
    ),
    invalid_problem(
        "`input[1]`: no item with id `msg_1` is kept here; send the item itself.", "input[1].id", "item_not_found"
    ),
    invalid_problem(
        "This response has ended; only one that is under way can be cancelled.",
        "response_id",
        "not_cancellable",
    ),
    Problem(404, "response_not_found", "No response with id 'resp_1' is kept here.", param="response_id"),
    Problem(405, "method_not_allowed", "This address does not take this method."),
    Problem(426, "upgrade_required", "There is no WebSocket here. POST to this address, with `stream: true`."),
    unknown_host_problem(),
    wrong_keys_problem(60.0),
    Problem(401, "key_disabled", "This key is disabled; the server's owner can enable it again."),
    Problem(401, "key_expired", "This key has expired; ask the server's owner for another one."),
    Problem(403, "missing_scope", "This key does not have the scope `admin`, which this needs; it has: chat."),
    Problem(503, "database_unavailable", "The database does not answer.", retryable=True),
    Problem(413, "request_too_large", "The request is larger than this server takes."),
    Problem(413, "image_too_large", f"`{_where}`: the picture is larger than 5 MiB.", param=_where),
    Problem(413, "file_too_large", f"`{_where}`: the file is larger than 20 MiB.", param=_where),
    Problem(415, "unsupported_encoding", "Send the body as it is, or with Content-Encoding: gzip."),
)
# What only jobs on files and commands can end in.
OF_TOOLS = (*(ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE),)
CHAT_PROBLEMS = (*OWN, *(problem_from_failure(Failed(kind)) for kind in STATUS_AND_CODE if kind not in OF_TOOLS))


# Any request may be rejected with these before it is read.
AT_THE_EDGE = (400, 408, 431, 503)
CHAT_ERRORS = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)


def with_headers(names: Iterable[str]) -> Json:
    """Headers by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*ALWAYS, *names)}


def list_error_statuses(path: str, endpoint: Endpoint, *, has_parameters: bool) -> list[int]:
    """The statuses that a request to an endpoint can fail with."""
    statuses = {401, 403, 500, *AT_THE_EDGE, *endpoint.errors, *((404,) if has_parameters else ())}
    if endpoint.body:
        statuses |= {*CHAT_ERRORS, *((529,) if path.startswith("/v1/messages") else ())}
    return sorted(statuses)


def list_errors(path: str, statuses: Iterable[int]) -> dict[str, Json]:
    """The responses of a failed request, by status, in the error envelope of the endpoint's dialect."""
    if path.startswith("/v1/messages"):
        return {str(status): _describe_error(status, ErrorMessage) for status in statuses}
    if path.startswith("/api/"):
        return {str(status): _describe_error(status, RestError) for status in statuses}
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def build_error_responses() -> dict[str, Json]:
    """The responses in OpenAI's error envelope, by name, with an example of every code."""
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
