"""Why there is no answer, from the CLI's words for it. Pure.

Law: the kind is decided by the CLI's machine-readable words first and by its sentences only where it has no others.
"""

import re

from executor.claude.cli.protocol import Complained, Ended, Retrying
from shared.errors import ErrorKind
from shared.events import Failed, Windows

# `error` of a synthetic `assistant` line (`SDKAssistantMessageError` in the CLI's agent SDK)
COMPLAINTS = {
    "authentication_failed": ErrorKind.CREDENTIAL_REFUSED,
    "oauth_org_not_allowed": ErrorKind.CREDENTIAL_REFUSED,
    "billing_error": ErrorKind.BILLING,
    "rate_limit": ErrorKind.RATE_LIMIT,
    "overloaded": ErrorKind.OVERLOADED,
    "server_error": ErrorKind.UPSTREAM,
    "invalid_request": ErrorKind.INVALID_REQUEST,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
}

STATUSES = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.CREDENTIAL_REFUSED,
    402: ErrorKind.BILLING,
    403: ErrorKind.CREDENTIAL_REFUSED,
    404: ErrorKind.MODEL_NOT_FOUND,
    413: ErrorKind.PROMPT_TOO_LONG,
    429: ErrorKind.RATE_LIMIT,
    529: ErrorKind.OVERLOADED,
}

SERVICE_SAYS = re.compile(r"API Error: 4\d\d (?P<words>[^\n]+)")
MOST_WORDS = 500
ABOUT_THINKING = re.compile(r"(?i)signature.*thinking|thinking.*(signature|cannot be modified)")

# Where waiting helps, and the service may have said how long.
WAITING_HELPS = {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED}


def too_long(retrying: Retrying) -> Failed:
    """What went wrong, when the CLI would wait for longer than a client should be kept in the dark."""
    return Failed(_named(retrying.error, retrying.status) or ErrorKind.UPSTREAM, retry_after=retrying.delay)


def cut_off(retrying: Retrying | None) -> Failed:
    """What went wrong, when the CLI asks again after words of the answer were given out, which can't be taken back."""
    named = _named(retrying.error, retrying.status) if retrying else None
    return Failed(named if named and named in WAITING_HELPS else ErrorKind.UPSTREAM_CUT)


def failure(
    ended: Ended,
    complaint: Complained | None,
    windows: Windows | None,
    *,
    said: bool,
    now: float,
    delay: float | None = None,
    retried: bool = True,
) -> Failed:
    """What went wrong. said: part of an answer was given out before. now: seconds since 1970. delay: the CLI's last.

    retried: the CLI asked the service again before it gave up; it does, unless the service says that it must not.
    """
    kind = _kind(ended, complaint, said=said)
    if kind is ErrorKind.USAGE_LIMIT:
        resets = [window.resets_at for window in windows.windows if window.resets_at] if windows else []
        return Failed(kind, retry_after=max(1.0, min(resets) - now) if resets else None)
    if kind is ErrorKind.INVALID_REQUEST:
        return Failed(kind, _service_words(complaint.text if complaint else ended.text))
    status = (complaint.status if complaint else None) or ended.status
    forbidden = not retried and status is not None and kind in {*WAITING_HELPS, ErrorKind.UPSTREAM}
    return Failed(kind, retry_after=delay if kind in WAITING_HELPS else None, retry=False if forbidden else None)


def is_about_thinking(failed: Failed) -> bool:
    """Whether the service refused the request for the thinking in its history, which is bound to what stands before it."""
    return failed.kind is ErrorKind.INVALID_REQUEST and bool(ABOUT_THINKING.search(failed.detail))


def _service_words(text: str) -> str:
    """What the service said of the request, which is the client's own; nothing that the CLI says in its place."""
    said = SERVICE_SAYS.match(text)
    return f"It said: {said['words'][:MOST_WORDS]}" if said else ""


def _kind(ended: Ended, complaint: Complained | None, *, said: bool) -> ErrorKind:
    text = (complaint.text if complaint else ended.text).lower()
    status = (complaint.status if complaint else None) or ended.status
    if ended.api_error == "usage_limit_reached":
        return ErrorKind.USAGE_LIMIT
    if ended.terminal_reason == "prompt_too_long" or status == 413:
        return ErrorKind.PROMPT_TOO_LONG
    if status is None and "not logged in" in text:
        return ErrorKind.NOT_LOGGED_IN
    unnamed = ErrorKind.UPSTREAM if ended.is_error else ErrorKind.CLI_FAILED
    kind = _named(complaint.error if complaint else "", status) or unnamed
    return ErrorKind.UPSTREAM_CUT if said and kind in {ErrorKind.UPSTREAM, ErrorKind.CLI_FAILED} else kind


def _named(error: str, status: int | None) -> ErrorKind | None:
    """The kind by the CLI's word for it, or by the status; 529 has a word that says less than the number."""
    if status == 529:
        return ErrorKind.OVERLOADED
    return COMPLAINTS.get(error) or STATUSES.get(status or 0)
