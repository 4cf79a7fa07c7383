"""What went wrong, before it is said in a dialect: a status, a code, a sentence.

Law: every way a request can fail is a Problem; a dialect only chooses the envelope. Nothing internal is in a sentence.
"""

from collections.abc import Mapping

from litestar.exceptions import HTTPException

from shared.errors import ERROR_INFO, ErrorKind
from shared.events import Failed


class Problem(Exception):
    """A request that gets no (whole) answer.

    param: the field of the request that is at fault. retry_after: seconds. retryable: whether the same request may
    succeed later by itself. details: what a client's program may act on. Mutable: more_headers, which only the place that
    refuses knows.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.retryable = retryable
        self.details = details
        self.extra_headers: dict[str, str] = {}

    def build_headers(self) -> dict[str, str]:
        """The headers that tell a client's library what to do (RFC 9110 §10.2.3, RFC 6750 §3, the SDKs' own)."""
        headers = {"x-should-retry": "true" if self.retryable else "false"}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after)))
            headers["retry-after-ms"] = str(max(1, round(self.retry_after * 1000)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return {**headers, **self.extra_headers}


# kind -> status and code
STATUS_AND_CODE: dict[ErrorKind, tuple[int, str]] = {
    ErrorKind.INVALID_REQUEST: (400, "invalid_request"),
    ErrorKind.MODEL_NOT_FOUND: (404, "model_not_found"),
    ErrorKind.PROMPT_TOO_LONG: (400, "context_length_exceeded"),
    ErrorKind.NOT_LOGGED_IN: (503, "not_logged_in"),
    ErrorKind.CREDENTIAL_REFUSED: (503, "credential_refused"),
    ErrorKind.BILLING: (402, "billing"),
    ErrorKind.USAGE_LIMIT: (429, "insufficient_quota"),
    ErrorKind.RATE_LIMIT: (429, "rate_limit_exceeded"),
    ErrorKind.OVERLOADED: (503, "overloaded"),
    ErrorKind.UPSTREAM: (502, "upstream_error"),
    ErrorKind.UPSTREAM_CUT: (502, "upstream_cut"),
    ErrorKind.OUTPUT_VALIDATION_FAILED: (502, "output_validation_failed"),
    ErrorKind.BUDGET: (402, "budget_exceeded"),
    ErrorKind.QUEUE_FULL: (429, "queue_full"),
    ErrorKind.QUEUE_TIMEOUT: (429, "queue_timeout"),
    ErrorKind.REQUEST_TIMEOUT: (504, "request_timeout"),
    ErrorKind.CLI_FAILED: (502, "cli_failed"),
    ErrorKind.NO_EXECUTOR: (503, "no_executor"),
    ErrorKind.EXECUTOR_LOST: (502, "executor_lost"),
    ErrorKind.NOT_ALLOWED: (403, "not_allowed"),
    ErrorKind.NOT_FOUND: (404, "file_not_found"),
    ErrorKind.BAD_JOB: (400, "invalid_job"),
    ErrorKind.TOO_LARGE: (413, "too_large"),
    ErrorKind.TOOLS_UNAVAILABLE: (503, "tools_unavailable"),
    ErrorKind.KEY_REVOKED: (401, "key_revoked"),
    ErrorKind.KEY_LIMIT: (429, "rate_limit_exceeded"),
    ErrorKind.KEY_BUDGET: (429, "insufficient_quota"),
    ErrorKind.DRAINING: (503, "draining"),
    ErrorKind.INTERNAL: (500, "internal_error"),
}

# What whoever asked has to mend, or to wait for: a limit of the key's own is among them.
CLIENT_ERROR_KINDS = {
    *(ErrorKind.INVALID_REQUEST, ErrorKind.MODEL_NOT_FOUND, ErrorKind.PROMPT_TOO_LONG, ErrorKind.BUDGET),
    *(ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE),
    *(ErrorKind.KEY_REVOKED, ErrorKind.KEY_LIMIT, ErrorKind.KEY_BUDGET),
}


def problem_from_failure(failed: Failed) -> Problem:
    """The problem that a failed job is."""
    status, code = STATUS_AND_CODE[failed.kind]
    meaning = ERROR_INFO[failed.kind]
    sentence = meaning.final_message if failed.retry is False and meaning.final_message else meaning.message
    message = f"{sentence} {failed.detail}".rstrip()
    retryable = meaning.retryable and failed.retry is not False
    return Problem(status, code, message, retry_after=failed.retry_after, retryable=retryable)


def too_large_problem() -> Problem:
    """A request over the limit. One for each: a problem that is kept keeps what it was raised over."""
    return Problem(413, "request_too_large", "The request is larger than this server takes.")


def problem_from_http_exception(error: HTTPException) -> Problem:
    """The problem that one of the framework's own errors is."""
    if error.status_code == 413:
        return too_large_problem()
    known = {
        404: ("not_found", "There is nothing at this address. GET /v1/models and POST /v1/chat/completions are there."),
        405: ("method_not_allowed", "This address does not take this method."),
        415: ("unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    }
    code, message = known.get(error.status_code, ("invalid_request", "The request can't be understood."))
    return Problem(error.status_code, code, message)


def invalid_problem(message: str, param: str | None = None, code: str = "invalid_value") -> Problem:
    """A request that says something it may not."""
    return Problem(400, code, message, param=param)
