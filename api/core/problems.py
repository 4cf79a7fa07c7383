"""Errors before a dialect renders them: a status, a code, a sentence.

Invariants: every failure of a request is a Problem; a dialect chooses only its form. A sentence holds no internal facts.
"""

from collections.abc import Mapping

from litestar.exceptions import HTTPException

from shared.errors import ERROR_INFO, ErrorKind
from shared.events import Failed


class Problem(Exception):
    """A request that gets no answer, or an incomplete one.

    param: the faulty field of the request. retry_after: seconds. retryable: whether the same request may succeed later.
    details: facts for the client's program. Mutable: extra_headers, which the raising code may add.
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
        """Returns the headers that client libraries act on (RFC 9110 §10.2.3, RFC 6750 §3, the SDKs' own)."""
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

# Errors that the caller has to fix or to wait for, the limits of its key included.
CLIENT_ERROR_KINDS = {
    *(ErrorKind.INVALID_REQUEST, ErrorKind.MODEL_NOT_FOUND, ErrorKind.PROMPT_TOO_LONG, ErrorKind.BUDGET),
    *(ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND, ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE),
    *(ErrorKind.KEY_REVOKED, ErrorKind.KEY_LIMIT, ErrorKind.KEY_BUDGET),
}


def problem_from_failure(failed: Failed) -> Problem:
    """Returns the problem of a failed job."""
    status, code = STATUS_AND_CODE[failed.kind]
    info = ERROR_INFO[failed.kind]
    sentence = info.final_message if failed.retry is False and info.final_message else info.message
    message = f"{sentence} {failed.detail}".rstrip()
    retryable = info.retryable and failed.retry is not False
    return Problem(status, code, message, retry_after=failed.retry_after, retryable=retryable)


def too_large_problem() -> Problem:
    """Returns the error for a request over the limit. A new one each time: a stored exception keeps its frames alive."""
    return Problem(413, "request_too_large", "The request is larger than this server accepts.")


def problem_from_http_exception(error: HTTPException) -> Problem:
    """Returns the problem of an error of the framework."""
    if error.status_code == 413:
        return too_large_problem()
    known = {
        404: ("not_found", "Unknown address. Examples of addresses: GET /v1/models, POST /v1/chat/completions."),
        405: ("method_not_allowed", "This address does not support this method."),
        415: ("unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    }
    code, message = known.get(error.status_code, ("invalid_request", "Malformed request."))
    return Problem(error.status_code, code, message)


def invalid_problem(message: str, param: str | None = None, code: str = "invalid_value") -> Problem:
    """Returns the error for an invalid value."""
    return Problem(400, code, message, param=param)
