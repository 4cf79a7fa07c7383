"""Why there is no answer: the kind is the CLI's own word for it, and waiting is advised where it helps."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.cli.protocol import ApiRetry, CliError, ResultLine
from executor.claude.output.failure import KINDS_BY_ERROR, build_failure, build_retry_failure, is_thinking_error
from shared.errors import ErrorKind
from shared.events import Failed, UsageWindow, UsageWindows

NOW = 1_700_000_000.0
SYNTHETIC = "API Error: the CLI's own words about /home/someone"


def ended(
    *,
    is_error: bool = True,
    status: int | None = None,
    text: str = SYNTHETIC,
    subtype: str = "success",
    api_error: str = "",
    terminal_reason: str = "",
) -> ResultLine:
    return ResultLine(is_error, 1, status, text, False, None, subtype, api_error, terminal_reason)


def kind(end: ResultLine, complaint: CliError | None = None, *, said: bool = False) -> ErrorKind:
    return build_failure(end, complaint, None, answer_started=said, now=NOW).kind


@pytest.mark.wire(41)
@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("authentication_failed", 401, ErrorKind.CREDENTIAL_REFUSED),
        ("oauth_org_not_allowed", 403, ErrorKind.CREDENTIAL_REFUSED),
        ("billing_error", 400, ErrorKind.BILLING),
        ("rate_limit", 429, ErrorKind.RATE_LIMIT),
        ("overloaded", 529, ErrorKind.OVERLOADED),
        ("rate_limit", 529, ErrorKind.OVERLOADED),
        ("server_error", 500, ErrorKind.UPSTREAM),
        ("invalid_request", 400, ErrorKind.INVALID_REQUEST),
        ("invalid_request", 413, ErrorKind.PROMPT_TOO_LONG),
        ("model_not_found", 404, ErrorKind.MODEL_NOT_FOUND),
        ("a word of tomorrow", 400, ErrorKind.INVALID_REQUEST),
        ("a word of tomorrow", 402, ErrorKind.BILLING),
        ("a word of tomorrow", 429, ErrorKind.RATE_LIMIT),
        ("a word of tomorrow", 503, ErrorKind.UPSTREAM),
        ("a word of tomorrow", None, ErrorKind.UPSTREAM),
    ],
)
def test_the_clis_word_decides_then_the_status(error: str, status: int | None, expected: ErrorKind):
    """The status may be with the complaint or with the result."""
    assert kind(ended(), CliError(error, status, SYNTHETIC)) is expected
    assert kind(ended(status=status), CliError(error, None, SYNTHETIC)) is expected


@pytest.mark.wire(41)
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (ended(api_error="usage_limit_reached", status=429), ErrorKind.USAGE_LIMIT),
        (ended(terminal_reason="prompt_too_long"), ErrorKind.PROMPT_TOO_LONG),
        (ended(status=413), ErrorKind.PROMPT_TOO_LONG),
        (ended(status=404), ErrorKind.MODEL_NOT_FOUND),
        (ended(status=401), ErrorKind.CREDENTIAL_REFUSED),
        (ended(text="Not logged in · Please run /login"), ErrorKind.NOT_LOGGED_IN),
        (ended(text="Not logged in", status=401), ErrorKind.CREDENTIAL_REFUSED),
        (ended(), ErrorKind.UPSTREAM),
        (ended(is_error=False), ErrorKind.CLI_FAILED),
        (ended(subtype="error_during_execution"), ErrorKind.UPSTREAM),
    ],
)
def test_a_result_alone_has_its_kind_too(end: ResultLine, expected: ErrorKind):
    """Without a complaint before it."""
    assert kind(end) is expected


def test_who_is_not_logged_in_is_told_so_whatever_the_word():
    """The CLI has one word for a missing credential and for one that was refused."""
    complaint = CliError("authentication_failed", None, "Not logged in · Please run /login")
    assert kind(ended(), complaint) is ErrorKind.NOT_LOGGED_IN
    assert kind(ended(), CliError("authentication_failed", 401, "Not logged in")) is ErrorKind.CREDENTIAL_REFUSED


@pytest.mark.wire(36)
def test_after_words_a_fault_of_the_line_is_a_cut_and_other_kinds_stay_what_they_are():
    """Part of an answer is out: that is what the client must know."""
    assert kind(ended(), said=True) is ErrorKind.UPSTREAM_CUT
    assert kind(ended(is_error=False), said=True) is ErrorKind.UPSTREAM_CUT
    assert kind(ended(), CliError("server_error", 500, ""), said=True) is ErrorKind.UPSTREAM_CUT
    assert kind(ended(), CliError("overloaded", 529, ""), said=True) is ErrorKind.OVERLOADED


@pytest.mark.wire(37)
@pytest.mark.parametrize(("retried", "expected"), [(True, None), (False, False)])
def test_a_failure_that_the_cli_did_not_retry_must_not_be_retried(retried: bool, expected: bool | None):  # noqa: FBT001
    """It asks again unless the service says that it must not."""
    for complaint in (CliError("overloaded", 529, ""), CliError("rate_limit", 429, ""), CliError("x", 500, "")):
        failed = build_failure(ended(), complaint, None, answer_started=False, now=NOW, retried=retried)
        assert failed.retry is expected
    refused = build_failure(
        ended(), CliError("invalid_request", 400, ""), None, answer_started=False, now=NOW, retried=retried
    )
    assert refused.retry is None


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("API Error: 400 messages.1.content.0: Invalid `signature` in `thinking` block", True),
        ("API Error: 400 `thinking` blocks in the latest assistant message cannot be modified", True),
        ("API Error: 400 messages.0: too long", False),
    ],
)
def test_a_refusal_of_the_historys_thinking_is_told_from_others(words: str, about: bool):  # noqa: FBT001
    """It is asked again without it."""
    failed = build_failure(ended(), CliError("invalid_request", 400, words), None, answer_started=False, now=NOW)
    assert is_thinking_error(failed) is about


@pytest.mark.wire(42)
@pytest.mark.parametrize(
    ("windows", "seconds"),
    [
        (None, None),
        (UsageWindows("rejected", ()), None),
        (UsageWindows("rejected", (UsageWindow("five_hour"),)), None),
        (UsageWindows("rejected", (UsageWindow("five_hour", 1.0, NOW + 90),)), 90),
        (
            UsageWindows(
                "rejected", (UsageWindow("a", 1.0, NOW + 90), UsageWindow("b", 1.0, NOW + 30), UsageWindow("c"))
            ),
            30,
        ),
        (UsageWindows("rejected", (UsageWindow("five_hour", 1.0, NOW - 90),)), 1),
    ],
)
def test_a_used_up_subscription_says_when_the_first_window_opens(windows: UsageWindows | None, seconds: float | None):
    """If it is known; never a time that is over."""
    end = ended(api_error="usage_limit_reached")
    assert build_failure(end, None, windows, answer_started=False, now=NOW) == Failed(
        ErrorKind.USAGE_LIMIT, retry_after=seconds
    )


@pytest.mark.wire(42)
@pytest.mark.parametrize("status", [400, 401, 402, 404, 413, 429, 500, 529])
def test_how_long_the_service_wants_to_be_left_alone_is_passed_on_where_waiting_helps(status: int):
    """Not with a request that will be refused again."""
    failed = build_failure(ended(status=status), None, None, answer_started=False, now=NOW, delay=7.5)
    assert failed.retry_after == (7.5 if status in {429, 529} else None)


@pytest.mark.wire(42)
@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("rate_limit", 429, ErrorKind.RATE_LIMIT),
        ("overloaded", 529, ErrorKind.OVERLOADED),
        ("unknown", None, ErrorKind.UPSTREAM),
    ],
)
def test_a_pause_that_is_too_long_is_handed_to_the_client(error: str, status: int | None, expected: ErrorKind):
    """It can wait better than a connection can."""
    assert build_retry_failure(ApiRetry(error, status, 600)) == Failed(expected, retry_after=600)


@pytest.mark.wire(44, 56)
@given(
    st.sampled_from([*KINDS_BY_ERROR, "unknown"]),
    st.none() | st.sampled_from([400, 401, 404, 429, 500, 529]),
    st.booleans(),
    st.booleans(),
)
def test_the_clis_words_for_it_reach_nobody(error: str, status: int | None, said: bool, is_error: bool):  # noqa: FBT001
    """They hold paths and advice for another program; only what the service said of the request may be repeated."""
    complaints = (None, CliError(error, status, SYNTHETIC))
    for complaint, end in itertools.product(complaints, (ended(is_error=is_error, status=status),)):
        assert build_failure(end, complaint, None, answer_started=said, now=NOW).detail == ""


@pytest.mark.wire(44)
def test_what_the_service_said_of_the_request_is_repeated_and_nothing_behind_it():
    """It is the client's own request, and the client can fix it only with the reason."""
    words = 'API Error: 400 {"message":"messages.0: too odd"}\nat /home/someone/cli.js'
    failed = build_failure(ended(), CliError("invalid_request", 400, words), None, answer_started=False, now=NOW)
    assert failed == Failed(ErrorKind.INVALID_REQUEST, 'It said: {"message":"messages.0: too odd"}')
