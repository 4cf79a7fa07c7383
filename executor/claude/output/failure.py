"""Why there is no answer, from the CLI's words for it. Pure.

Invariants: the kind is decided by the CLI's machine-readable words first and by its sentences only where it has no others.
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

SERVICE_ERROR = re.compile(r"API Error: 4\d\d (?P<words>[^\n]+)")
MAX_DETAIL_LENGTH = 500
THINKING_ERROR = re.compile(r"(?i)signature.*thinking|thinking.*(signature|cannot be modified)")

# Where waiting helps, and the service may have said how long.
RETRYABLE_KINDS = {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED}


def build_retry_failure(retrying: ApiRetry) -> Failed:
    """What went wrong, when the CLI would wait for longer than a client should be kept in the dark."""
    return Failed(_find_known_kind(retrying.error, retrying.status) or ErrorKind.UPSTREAM, retry_after=retrying.delay)


def build_cut_failure(retrying: ApiRetry | None) -> Failed:
    """What went wrong, when the CLI asks again after words of the answer were given out, which can't be taken back."""
    named = _find_known_kind(retrying.error, retrying.status) if retrying else None
    return Failed(named if named and named in RETRYABLE_KINDS else ErrorKind.UPSTREAM_CUT)


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
    """What went wrong. said: part of an answer was given out before. now: seconds since 1970. delay: the CLI's last.

    retried: the CLI asked the service again before it gave up; it does, unless the service says that it must not.
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
    """Whether the service refused the request for the thinking in its history, which is bound to what stands before it."""
    return failed.kind is ErrorKind.INVALID_REQUEST and bool(THINKING_ERROR.search(failed.detail))


def _extract_service_detail(text: str) -> str:
    """What the service said of the request, which is the client's own; nothing that the CLI says in its place."""
    said = SERVICE_ERROR.match(text)
    return f"It said: {said['words'][:MAX_DETAIL_LENGTH]}" if said else ""


def _find_kind(result: ResultLine, cli_error: CliError | None, *, answer_started: bool) -> ErrorKind:
    text = (cli_error.text if cli_error else result.text).lower()
    status = (cli_error.status if cli_error else None) or result.status
    if result.api_error == "usage_limit_reached":
        return ErrorKind.USAGE_LIMIT
    if result.terminal_reason == "prompt_too_long" or status == 413:
        return ErrorKind.PROMPT_TOO_LONG
    if status is None and "not logged in" in text:
        return ErrorKind.NOT_LOGGED_IN
    unnamed = ErrorKind.UPSTREAM if result.is_error else ErrorKind.CLI_FAILED
    kind = _find_known_kind(cli_error.error if cli_error else "", status) or unnamed
    return ErrorKind.UPSTREAM_CUT if answer_started and kind in {ErrorKind.UPSTREAM, ErrorKind.CLI_FAILED} else kind


def _find_known_kind(error: str, status: int | None) -> ErrorKind | None:
    """The kind by the CLI's word for it, or by the status; 529 has a word that says less than the number."""
    if status == 529:
        return ErrorKind.OVERLOADED
    return KINDS_BY_ERROR.get(error) or KINDS_BY_STATUS.get(status or 0)
