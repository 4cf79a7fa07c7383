"""Builds the failure of a job from the CLI's report. Pure.

Invariants: the CLI's machine-readable fields decide the kind; its sentences do so only where there are no such fields.
"""

import re

from executor.claude.cli.protocol import ApiRetry, CliError, ResultLine
from shared.errors import ErrorKind
from shared.events import Failed, UsageWindows

# `error` of a synthetic `assistant` line (`SDKAssistantMessageError` in the CLI's agent SDK)
KINDS_BY_ERROR = {
    "authentication_failed": ErrorKind.CREDENTIAL_REFUSED,
    "oauth_org_not_allowed": ErrorKind.CREDENTIAL_REFUSED,
    "billing_error": ErrorKind.BILLING,
    "rate_limit": ErrorKind.RATE_LIMIT,
    "overloaded": ErrorKind.OVERLOADED,
    "server_error": ErrorKind.UPSTREAM,
    "invalid_request": ErrorKind.INVALID_REQUEST,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
}

KINDS_BY_STATUS = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.CREDENTIAL_REFUSED,
    402: ErrorKind.BILLING,
    403: ErrorKind.CREDENTIAL_REFUSED,
    404: ErrorKind.MODEL_NOT_FOUND,
    413: ErrorKind.PROMPT_TOO_LONG,
    429: ErrorKind.RATE_LIMIT,
    529: ErrorKind.OVERLOADED,
}

SERVICE_ERROR = re.compile(r"API Error: 4\d\d (?P<message>[^\n]+)")
MAX_DETAIL_LENGTH = 500
THINKING_ERROR = re.compile(r"(?i)signature.*thinking|thinking.*(signature|cannot be modified)")

# Waiting helps for these, and the service may have sent a delay.
RETRYABLE_KINDS = {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED}


def build_retry_failure(retrying: ApiRetry) -> Failed:
    """Builds the failure for a retry that would make the client wait too long."""
    return Failed(_find_known_kind(retrying.error, retrying.status) or ErrorKind.UPSTREAM, retry_after=retrying.delay)


def build_cut_failure(retrying: ApiRetry | None) -> Failed:
    """Builds the failure for a retry after part of the answer was sent, which can't be taken back."""
    kind = _find_known_kind(retrying.error, retrying.status) if retrying else None
    return Failed(kind if kind and kind in RETRYABLE_KINDS else ErrorKind.UPSTREAM_CUT)


def build_failure(
    result: ResultLine,
    cli_error: CliError | None,
    windows: UsageWindows | None,
    *,
    answer_started: bool,
    now: float,
    delay: float | None = None,
    retried: bool = True,
) -> Failed:
    """Builds the failure for a query that ended without an answer.

    answer_started: part of an answer was sent before. now: seconds since 1970. delay: of the CLI's last retry, in seconds.
    retried: the CLI retried before it gave up, which it does unless the service forbids it.
    """
    kind = _find_kind(result, cli_error, answer_started=answer_started)
    if kind is ErrorKind.USAGE_LIMIT:
        resets = [window.resets_at for window in windows.windows if window.resets_at] if windows else []
        return Failed(kind, retry_after=max(1.0, min(resets) - now) if resets else None)
    if kind is ErrorKind.INVALID_REQUEST:
        return Failed(kind, _extract_service_detail(cli_error.text if cli_error else result.text))
    status = (cli_error.status if cli_error else None) or result.status
    forbidden = not retried and status is not None and kind in {*RETRYABLE_KINDS, ErrorKind.UPSTREAM}
    return Failed(kind, retry_after=delay if kind in RETRYABLE_KINDS else None, retry=False if forbidden else None)


def is_thinking_error(failed: Failed) -> bool:
    """Whether the service rejected the thinking in the history, which is bound to everything before it."""
    return failed.kind is ErrorKind.INVALID_REQUEST and bool(THINKING_ERROR.search(failed.detail))


def _extract_service_detail(text: str) -> str:
    """Returns the service's own message about the client's request; empty if the message is the CLI's."""
    match = SERVICE_ERROR.match(text)
    return f"It said: {match['message'][:MAX_DETAIL_LENGTH]}" if match else ""


def _find_kind(result: ResultLine, cli_error: CliError | None, *, answer_started: bool) -> ErrorKind:
    text = (cli_error.text if cli_error else result.text).lower()
    status = (cli_error.status if cli_error else None) or result.status
    if result.api_error == "usage_limit_reached":
        return ErrorKind.USAGE_LIMIT
    if result.terminal_reason == "prompt_too_long" or status == 413:
        return ErrorKind.PROMPT_TOO_LONG
    if status is None and "not logged in" in text:
        return ErrorKind.NOT_LOGGED_IN
    default = ErrorKind.UPSTREAM if result.is_error else ErrorKind.CLI_FAILED
    kind = _find_known_kind(cli_error.error if cli_error else "", status) or default
    return ErrorKind.UPSTREAM_CUT if answer_started and kind in {ErrorKind.UPSTREAM, ErrorKind.CLI_FAILED} else kind


def _find_known_kind(error: str, status: int | None) -> ErrorKind | None:
    """Returns the kind by the CLI's error name, or by the status; for 529, the CLI's name is less precise."""
    if status == 529:
        return ErrorKind.OVERLOADED
    return KINDS_BY_ERROR.get(error) or KINDS_BY_STATUS.get(status or 0)
