"""The kinds of errors that end a job, each with its message and whether a retry may succeed.

Invariants: a message never contains a path, an argument, a prompt or another program's output. `Failed.detail` may only add
what the caller sent or must know, such as the service's answer about the caller's own request.
"""

from enum import StrEnum

from msgspec import Struct


class ErrorKind(StrEnum):
    """The kinds. Each dialect maps them to a status code and a body."""

    INVALID_REQUEST = "invalid_request"
    MODEL_NOT_FOUND = "model_not_found"
    PROMPT_TOO_LONG = "prompt_too_long"
    NOT_LOGGED_IN = "not_logged_in"
    CREDENTIAL_REFUSED = "credential_refused"
    BILLING = "billing"
    USAGE_LIMIT = "usage_limit"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    UPSTREAM = "upstream"
    UPSTREAM_CUT = "upstream_cut"
    OUTPUT_VALIDATION_FAILED = "output_validation_failed"
    BUDGET = "budget"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    REQUEST_TIMEOUT = "request_timeout"
    CLI_FAILED = "cli_failed"
    NO_EXECUTOR = "no_executor"
    EXECUTOR_LOST = "executor_lost"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    BAD_JOB = "bad_job"
    TOO_LARGE = "too_large"
    TOOLS_UNAVAILABLE = "tools_unavailable"
    KEY_REVOKED = "key_revoked"
    KEY_LIMIT = "key_limit"
    KEY_BUDGET = "key_budget"
    DRAINING = "draining"
    INTERNAL = "internal"


class ErrorInfo(Struct, frozen=True):
    """The meaning of a kind for a caller.

    retryable: the same request may succeed later. message: the text for the user. final_message: the text where the service
    says that the request must not be retried.
    """

    retryable: bool
    message: str
    final_message: str = ""


ERROR_INFO: dict[ErrorKind, ErrorInfo] = {
    ErrorKind.INVALID_REQUEST: ErrorInfo(False, "The model's service refused the request as invalid."),
    ErrorKind.MODEL_NOT_FOUND: ErrorInfo(
        False,
        "This model does not exist, or this account may not use it. GET /v1/models lists the models that it may use.",
    ),
    ErrorKind.PROMPT_TOO_LONG: ErrorInfo(
        False, "The conversation is longer than the model's context window. Send less of it."
    ),
    ErrorKind.NOT_LOGGED_IN: ErrorInfo(
        False,
        "The server has no Claude login. Its owner can run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN, or set "
        "ANTHROPIC_API_KEY, and restart it.",
    ),
    ErrorKind.CREDENTIAL_REFUSED: ErrorInfo(
        False,
        "The model's service refused the server's own credential. Its owner must renew it (`claude setup-token`, or a "
        "new ANTHROPIC_API_KEY) and restart the server.",
    ),
    ErrorKind.BILLING: ErrorInfo(False, "The account of this server has a billing problem that its owner must fix."),
    ErrorKind.USAGE_LIMIT: ErrorInfo(False, "The usage limit of this server's subscription is reached."),
    ErrorKind.RATE_LIMIT: ErrorInfo(
        True,
        "The model's service limits the rate of requests. Retry later.",
        "The model's service limits the rate of requests, and says not to retry this one.",
    ),
    ErrorKind.OVERLOADED: ErrorInfo(
        True,
        "The model's service is overloaded. Retry in a moment.",
        "The model's service is overloaded, and says not to retry this request.",
    ),
    ErrorKind.UPSTREAM: ErrorInfo(
        True,
        "The model's service failed to answer. Retry in a moment.",
        "The model's service failed to answer, and says not to retry this request.",
    ),
    ErrorKind.UPSTREAM_CUT: ErrorInfo(
        True, "The connection to the model's service was lost before the answer was complete. Retry the request."
    ),
    ErrorKind.OUTPUT_VALIDATION_FAILED: ErrorInfo(
        True, "The model's output did not satisfy the request's `tool_choice` or schema. Retry the request."
    ),
    ErrorKind.BUDGET: ErrorInfo(
        False, "The cost of the answer exceeded `max_budget_usd` before the answer was complete."
    ),
    ErrorKind.QUEUE_FULL: ErrorInfo(
        True, "The server is at capacity and its queue is full. Retry later, or raise MAX_CONCURRENT or MAX_QUEUE."
    ),
    ErrorKind.QUEUE_TIMEOUT: ErrorInfo(
        True, "The request waited too long in the queue. Retry later, or raise MAX_CONCURRENT or QUEUE_TIMEOUT."
    ),
    ErrorKind.REQUEST_TIMEOUT: ErrorInfo(
        True, "The answer was not complete in time and was cancelled. Ask for less, or raise REQUEST_TIMEOUT."
    ),
    ErrorKind.CLI_FAILED: ErrorInfo(
        True, "The Claude Code CLI ended without an answer. Retry the request; the log has details."
    ),
    ErrorKind.NO_EXECUTOR: ErrorInfo(True, "No executor is running. GET /health lists the known executors."),
    ErrorKind.EXECUTOR_LOST: ErrorInfo(True, "The executor ended during this request. Retry the request."),
    ErrorKind.NOT_ALLOWED: ErrorInfo(False, "This server does not allow that."),
    ErrorKind.NOT_FOUND: ErrorInfo(False, "No such file or folder exists in the allowed paths."),
    ErrorKind.BAD_JOB: ErrorInfo(False, "The job is invalid."),
    ErrorKind.TOO_LARGE: ErrorInfo(False, "This is larger than the server accepts."),
    ErrorKind.TOOLS_UNAVAILABLE: ErrorInfo(
        True, "No tools executor is available for files and commands. GET /health has the reason and the fix."
    ),
    ErrorKind.KEY_REVOKED: ErrorInfo(
        False, "This key was disabled, removed, replaced or restricted, or it expired, during the request."
    ),
    ErrorKind.KEY_LIMIT: ErrorInfo(True, "A rate limit of this key is exceeded. Retry later."),
    ErrorKind.KEY_BUDGET: ErrorInfo(False, "A budget of this key is used up."),
    ErrorKind.DRAINING: ErrorInfo(True, "The server is shutting down. Retry in a moment."),
    ErrorKind.INTERNAL: ErrorInfo(True, "Internal server error. The server's log has details."),
}
