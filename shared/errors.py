"""Every way a job can fail: one kind each, with what a client may do about it and the sentence its user reads.

Law: a sentence never holds a path, an argument, a prompt or another program's words; `Failed.detail` may only add
what the caller sent or must know, such as what the service said of the caller's own request.
"""

from enum import StrEnum

from msgspec import Struct


class ErrorKind(StrEnum):
    """The kinds; dialects map them to a status and a body of their own."""

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
    """What a kind means to a caller.

    retryable: whether the same request may succeed later by itself. sentence: what the user reads. final: the same where
    the service says that the request must not come again.
    """

    retryable: bool
    message: str
    final_message: str = ""


ERROR_INFO: dict[ErrorKind, ErrorInfo] = {
    ErrorKind.INVALID_REQUEST: ErrorInfo(False, "The model's service refused the request as invalid."),
    ErrorKind.MODEL_NOT_FOUND: ErrorInfo(
        False, "This model does not exist or this account may not use it. GET /v1/models lists what it may use."
    ),
    ErrorKind.PROMPT_TOO_LONG: ErrorInfo(False, "The conversation is longer than the model can read. Send less of it."),
    ErrorKind.NOT_LOGGED_IN: ErrorInfo(
        False,
        "The server has no Claude login. Its owner can run `claude setup-token` and set CLAUDE_CODE_OAUTH_TOKEN, or set "
        "ANTHROPIC_API_KEY, and start it again.",
    ),
    ErrorKind.CREDENTIAL_REFUSED: ErrorInfo(
        False,
        "The model's service refused the server's own credential. Its owner must renew it (`claude setup-token`, or a "
        "new ANTHROPIC_API_KEY) and start the server again.",
    ),
    ErrorKind.BILLING: ErrorInfo(
        False, "The account behind this server has a billing problem; its owner must mend it."
    ),
    ErrorKind.USAGE_LIMIT: ErrorInfo(False, "The usage limit of the subscription behind this server is reached."),
    ErrorKind.RATE_LIMIT: ErrorInfo(
        True,
        "The model's service limits the rate of requests. Try again later.",
        "The model's service limits the rate of requests, and asks not to be asked again.",
    ),
    ErrorKind.OVERLOADED: ErrorInfo(
        True,
        "The model's service is overloaded. Try again in a moment.",
        "The model's service is overloaded, and asks not to be asked again.",
    ),
    ErrorKind.UPSTREAM: ErrorInfo(
        True,
        "The model's service failed to answer. Try again in a moment.",
        "The model's service failed to answer, and asks not to be asked again.",
    ),
    ErrorKind.UPSTREAM_CUT: ErrorInfo(
        True, "The connection to the model's service was lost before the answer was whole. Try again."
    ),
    ErrorKind.OUTPUT_VALIDATION_FAILED: ErrorInfo(
        True, "The model did not keep to what the request demands of its answer. Try again."
    ),
    ErrorKind.BUDGET: ErrorInfo(False, "The cost of the answer went over `max_budget_usd` before it was whole."),
    ErrorKind.QUEUE_FULL: ErrorInfo(
        True, "All places are taken and the queue is full. Try again later, or raise MAX_CONCURRENT or MAX_QUEUE."
    ),
    ErrorKind.QUEUE_TIMEOUT: ErrorInfo(
        True, "No place became free in time. Try again later, or raise MAX_CONCURRENT or QUEUE_TIMEOUT."
    ),
    ErrorKind.REQUEST_TIMEOUT: ErrorInfo(
        True, "The answer was not whole in time and was given up. Ask for less, or raise REQUEST_TIMEOUT."
    ),
    ErrorKind.CLI_FAILED: ErrorInfo(True, "The Claude Code CLI ended without an answer. Try again; the log says more."),
    ErrorKind.NO_EXECUTOR: ErrorInfo(
        True, "No executor is running, so nothing can answer. GET /health shows the executors known."
    ),
    ErrorKind.EXECUTOR_LOST: ErrorInfo(True, "The executor ended while it worked on this request. Try again."),
    ErrorKind.NOT_ALLOWED: ErrorInfo(False, "This server does not allow that."),
    ErrorKind.NOT_FOUND: ErrorInfo(False, "There is no such file or folder among the allowed ones."),
    ErrorKind.BAD_JOB: ErrorInfo(False, "This can't be done."),
    ErrorKind.TOO_LARGE: ErrorInfo(False, "This is larger than this server takes."),
    ErrorKind.TOOLS_UNAVAILABLE: ErrorInfo(
        True, "No tools executor serves files and commands now. GET /health says why and what to do."
    ),
    ErrorKind.KEY_REVOKED: ErrorInfo(
        False, "This key was disabled, removed, replaced or narrowed, or has expired, while its work was under way."
    ),
    ErrorKind.KEY_LIMIT: ErrorInfo(True, "A limit of this key is reached. Try again later."),
    ErrorKind.KEY_BUDGET: ErrorInfo(False, "A budget of this key is used up."),
    ErrorKind.DRAINING: ErrorInfo(True, "The server is shutting down. Try again in a moment."),
    ErrorKind.INTERNAL: ErrorInfo(True, "Something went wrong inside the server. The log says what."),
}
