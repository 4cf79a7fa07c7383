"""What goes wrong at the model's service is told as what it is, and the clients' libraries do what helps."""

import asyncio
import math
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest

from tests.support.calls import build_tool
from tests.support.chat import Json, collect_chunks, join_text, open_stream, parse_error, parse_text, send_chat
from tests.support.scripted.upstream import (
    AnswerReply,
    ErrorEventReply,
    ErrorReply,
    GatedReply,
    ReceivedRequest,
    Reply,
    StalledReply,
    Upstream,
)
from tests.support.stack import API_KEY, Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

SOON = 1800
SENSIBLE = "a sentence of the service's own: /home/owner/.claude secret-detail"
WRONG_BODY = "messages.0.content: Input should be a valid list"


@pytest.fixture(scope="module")
async def shared_short_timeout_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs that give an answer up soon, and show before that that they are alive."""
    async with Stack(shared_upstream.url, settings={"REQUEST_TIMEOUT": "4", "SSE_KEEPALIVE_INTERVAL": "0.2"}) as stack:
        yield stack


@pytest.fixture
async def short_timeout_stack(shared_short_timeout_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with `REQUEST_TIMEOUT=4`."""
    yield shared_short_timeout_stack
    await shared_short_timeout_stack.wait_until_quiet()


@pytest.fixture(scope="module")
async def shared_keepalive_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with one place, that show often that they are alive."""
    settings = {"SSE_KEEPALIVE_INTERVAL": "0.2", "MAX_CONCURRENT": "1"}
    async with Stack(shared_upstream.url, settings=settings) as stack:
        yield stack


@pytest.fixture
async def keepalive_stack(shared_keepalive_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with `SSE_KEEPALIVE_INTERVAL=0.2` and one place."""
    yield shared_keepalive_stack
    await shared_keepalive_stack.wait_until_quiet()


def windows(status: str, used: float) -> dict[str, str]:
    """The headers by which the service tells of a subscription's windows."""
    reset, later = str(round(time.time()) + SOON), str(round(time.time()) + 100 * SOON)
    name = "anthropic-ratelimit-unified"
    return {
        f"{name}-status": status,
        f"{name}-reset": reset,
        f"{name}-representative-claim": "five_hour",
        f"{name}-5h-status": status,
        f"{name}-5h-utilization": str(used),
        f"{name}-5h-reset": reset,
        f"{name}-7d-status": "allowed",
        f"{name}-7d-utilization": "0.4",
        f"{name}-7d-reset": later,
    }


def span(sent_at: float) -> range:
    """What is left of a window, in seconds, at any time between the question and now."""
    return range(math.floor(SOON - (time.time() - sent_at)) - 1, SOON + 2)


def assert_nothing_internal(text: str, stack: Stack) -> None:
    """Assert that a body tells nothing of the host, of the CLI or of its words."""
    for word in (str(stack.folder), "/work", "/tmp", "Traceback", "claude -p", "stream-json", "system-reminder"):
        assert word not in text
    for word in ("synthetic", "API Error", "request_id", "req_scripted", "127.0.0.1", "secret-detail", "/root"):
        assert word not in text
    assert API_KEY not in text


# --- Each error of the service -----------------------------------------------------------------------------------------

PLAIN: dict[str, tuple[ErrorReply, int, str, str, bool]] = {
    "400 invalid": (
        ErrorReply(400, "invalid_request_error", WRONG_BODY),
        *(400, "invalid_request_error", "invalid_request", False),
    ),
    "400 too long": (
        ErrorReply(400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
        *(400, "invalid_request_error", "context_length_exceeded", False),
    ),
    "400 no credit": (
        ErrorReply(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        *(402, "invalid_request_error", "billing", False),
    ),
    "401": (ErrorReply(401, "authentication_error", SENSIBLE), 503, "server_error", "credential_refused", False),
    "402": (ErrorReply(402, "billing_error", SENSIBLE), 402, "invalid_request_error", "billing", False),
    "403": (ErrorReply(403, "permission_error", SENSIBLE), 503, "server_error", "credential_refused", False),
    "404": (ErrorReply(404, "not_found_error", "model: x"), 404, "invalid_request_error", "model_not_found", False),
    "413": (
        ErrorReply(413, "request_too_large", SENSIBLE),
        400,
        "invalid_request_error",
        "context_length_exceeded",
        False,
    ),
    "429": (ErrorReply(429, "rate_limit_error", SENSIBLE), 429, "rate_limit_error", "rate_limit_exceeded", True),
    "500": (ErrorReply(500, "api_error", SENSIBLE), 502, "server_error", "upstream_error", True),
    "503": (ErrorReply(503, "api_error", SENSIBLE), 502, "server_error", "upstream_error", True),
    "529": (ErrorReply(529, "overloaded_error", SENSIBLE), 503, "server_error", "overloaded", True),
}


@pytest.mark.wire(28, 40, 41, 42, 44, 56)
@pytest.mark.parametrize(("refuses", "status", "kind", "code", "retry"), PLAIN.values(), ids=PLAIN)
async def test_each_error_of_the_service_has_a_status_type_and_code(  # noqa: PLR0917
    stack: Stack,
    upstream: Upstream,
    refuses: ErrorReply,
    status: int,
    kind: str,
    code: str,
    retry: bool,  # noqa: FBT001
):
    """A stream that has not begun is no stream; nothing of the CLI's words is passed on."""
    upstream.script(refuses)
    response = await send_chat(stack, "my prompt", stream=status % 2 == 0)
    assert response.status_code == status
    error = parse_error(response)
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert response.headers["x-should-retry"] == str(retry).lower()
    # Also without a date of the service: the CLI proposes a delay.
    if code in {"rate_limit_exceeded", "overloaded"}:
        assert 1 <= int(response.headers["retry-after"]) <= 10
    assert "my prompt" not in response.text
    assert_nothing_internal(response.text, stack)


async def test_what_the_service_finds_wrong_with_a_request_is_told(each_credential_stack: Stack, upstream: Upstream):
    """The request is the client's own, so the client must know."""
    upstream.script(ErrorReply(400, "invalid_request_error", WRONG_BODY))
    message = parse_error(await send_chat(each_credential_stack))["message"]
    assert WRONG_BODY in message
    assert "API Error" not in message


@pytest.mark.wire(41, 42)
async def test_a_rate_limit_with_a_date_is_told_at_once(each_credential_stack: Stack, upstream: Upstream):
    """The CLI would wait as long as it is told to; the client may have something better to do."""
    upstream.script(ErrorReply(429, "rate_limit_error", SENSIBLE, {"retry-after": "40"}))
    response = await send_chat(each_credential_stack)
    assert response.status_code == 429
    assert parse_error(response)["code"] == "rate_limit_exceeded"
    assert 40 <= int(response.headers["retry-after"]) <= 60
    assert abs(int(response.headers["retry-after-ms"]) - 1000 * int(response.headers["retry-after"])) <= 500
    assert response.headers["x-should-retry"] == "true"
    assert len(upstream.requests) == 1


async def test_what_passes_by_itself_is_not_told_at_all(each_credential_stack: Stack, upstream: Upstream):
    """The CLI tries again, and the second answer is the answer."""
    upstream.script(ErrorReply(529, "overloaded_error"), ErrorReply(500, "api_error"), AnswerReply("fine"))
    assert parse_text(await send_chat(each_credential_stack)) == "fine"
    assert len(upstream.requests) == 3


# --- A subscription's windows -------------------------------------------------------------------------------------------


@pytest.mark.wire(41, 42, 43)
async def test_a_spent_window_says_when_it_opens_again(subscription_stack: Stack, upstream: Upstream):
    """`insufficient_quota`, with the window's own date, and no retry before; it is asked for once."""
    sent_at = time.time()
    upstream.script(ErrorReply(429, "rate_limit_error", SENSIBLE, windows("rejected", 1)))
    response = await send_chat(subscription_stack)
    assert response.status_code == 429
    error = parse_error(response)
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert int(response.headers["retry-after"]) in span(sent_at)
    assert response.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1
    assert_nothing_internal(response.text, subscription_stack)


@pytest.mark.wire(43)
async def test_the_windows_are_in_headers_and_in_health(subscription_stack: Stack, upstream: Upstream):
    """As the service last told of them; in health for callers with a key only."""
    sent_at = time.time()
    upstream.script(AnswerReply("hi", headers=windows("allowed", 0.25)))
    await send_chat(subscription_stack)
    response = await send_chat(subscription_stack)
    assert response.headers["x-ratelimit-five-hour-utilization"] == "0.25"
    assert int(response.headers["x-ratelimit-five-hour-reset"]) in span(sent_at)
    assert response.headers["x-ratelimit-seven-day-utilization"] == "0.4"
    usage_windows = (await subscription_stack.client.get("/health")).json()["usage_windows"]
    assert usage_windows["status"] == "allowed"
    assert {window["name"]: window["utilization"] for window in usage_windows["windows"]} == {
        "five_hour": 0.25,
        "seven_day": 0.4,
    }
    unknown = await subscription_stack.client.get("/health", headers={"authorization": "Bearer nobody"})
    assert unknown.status_code == 200
    assert "usage_windows" not in unknown.json()


# --- In the middle ------------------------------------------------------------------------------------------------------


@pytest.mark.wire(27, 31, 36)
async def test_an_error_in_the_middle_is_an_event_and_then_the_end(each_credential_stack: Stack, upstream: Upstream):
    """What was said before it stays said; the error is never words of the answer; `[DONE]` comes once."""

    def breaks(_: ReceivedRequest) -> Reply:
        return ErrorEventReply(["Once ", "upon "], message=SENSIBLE)

    upstream.script(breaks)
    *chunks, last = await collect_chunks(each_credential_stack)
    if join_text(chunks):
        assert join_text(chunks) == "Once upon "
    assert set(last) == {"error"}
    assert last["error"]["code"] in {"overloaded", "upstream_cut"}
    assert last["error"]["type"] == "server_error"
    assert_nothing_internal(str(last), each_credential_stack)


@pytest.mark.wire(36)
async def test_the_official_client_raises_on_an_error_in_the_middle(stack: Stack, upstream: Upstream):
    """It has the words that came before."""
    upstream.script(ErrorEventReply(["Once "]))
    words: list[str] = []

    async def listen() -> None:
        pending = stack.openai.chat.completions.create(
            model="sonnet", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        async for chunk in await pending:
            words.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(openai.APIError) as raised:
        await listen()
    assert "".join(words) in {"", "Once "}
    assert raised.value.code == "upstream_cut"


async def test_an_error_in_the_middle_of_a_whole_answer_is_a_plain_error(stack: Stack, upstream: Upstream):
    """Nothing half is given out as whole. Behind thinking the CLI goes on by itself, and does not tell what went wrong."""
    upstream.script(ErrorEventReply(["Once "]), AnswerReply("Once more."))
    response = await send_chat(stack)
    assert response.status_code == 502
    assert parse_error(response)["code"] == "upstream_cut"


# --- The official client ------------------------------------------------------------------------------------------------

RAISED: dict[str, tuple[ErrorReply, type[openai.APIStatusError], bool]] = {
    "invalid": (PLAIN["400 invalid"][0], openai.BadRequestError, False),
    "credential": (PLAIN["401"][0], openai.InternalServerError, False),
    "billing": (PLAIN["402"][0], openai.APIStatusError, False),
    "model": (PLAIN["404"][0], openai.NotFoundError, False),
    "rate": (PLAIN["429"][0], openai.RateLimitError, True),
    "overload": (PLAIN["529"][0], openai.InternalServerError, True),
}


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error")])
async def test_a_service_that_wants_no_retry_is_heard(
    each_credential_stack: Stack, upstream: Upstream, status: int, kind: str
):
    """The CLI gives up at once, and so does the client: neither header nor sentence says otherwise."""
    upstream.script(ErrorReply(status, kind, headers={"x-should-retry": "false"}))
    response = await send_chat(each_credential_stack)
    assert response.headers["x-should-retry"] == "false"
    assert "Try again" not in parse_error(response)["message"]
    assert "says not to retry" in parse_error(response)["message"]
    assert len(upstream.requests) == 1


@pytest.mark.wire(42)
@pytest.mark.parametrize(("refuses", "expected", "retried"), RAISED.values(), ids=RAISED)
async def test_the_official_client_raises_the_right_error_and_retries_where_it_helps(
    stack: Stack,
    upstream: Upstream,
    refuses: ErrorReply,
    expected: type[openai.APIStatusError],
    retried: bool,  # noqa: FBT001
):
    """It is told by `x-should-retry`; where a retry is pointless nothing is spent on one."""
    upstream.script(refuses)
    client = stack.openai.with_options(max_retries=1)
    request_id = f"mine-{uuid.uuid4().hex}"
    with pytest.raises(expected) as raised:
        await client.chat.completions.create(
            model="sonnet", messages=[{"role": "user", "content": "hi"}], extra_headers={"x-request-id": request_id}
        )
    assert raised.value.code == error_code(refuses)
    assert raised.value.request_id == request_id

    def count_requests() -> int:
        lines = stack.api.log.read_text().splitlines()
        return len([line for line in lines if request_id in line and "path=/v1/chat/completions" in line])

    # A line is written after its response.
    await wait_until(lambda: count_requests() >= (2 if retried else 1))
    assert count_requests() == (2 if retried else 1)


def error_code(refuses: ErrorReply) -> str:
    """The code of what the service refuses so."""
    return next(code for plain, _, _, code, _ in PLAIN.values() if plain is refuses)


# --- Time ---------------------------------------------------------------------------------------------------------------


@pytest.mark.wire(41, 60)
async def test_an_answer_that_takes_too_long_is_given_up(short_timeout_stack: Stack, upstream: Upstream):
    """504 with the setting's name; the CLI and its connection end with it."""
    upstream.script(StalledReply(0))
    response = await send_chat(short_timeout_stack)
    assert response.status_code == 504
    assert parse_error(response)["code"] == "request_timeout"
    assert "REQUEST_TIMEOUT" in parse_error(response)["message"]
    assert response.headers["x-should-retry"] == "true"
    await upstream.wait_until(lambda: upstream.answering == 0)


@pytest.mark.wire(36, 41)
async def test_a_stream_that_takes_too_long_ends_with_an_error_event(short_timeout_stack: Stack, upstream: Upstream):
    """After what was said: a busy machine may not come to say it in time, and is asked again."""
    upstream.script(StalledReply(["Once ", "upon "]))
    async with asyncio.timeout(TEST_TIMEOUT):
        text = ""
        while not text:
            *chunks, last = await collect_chunks(short_timeout_stack)
            assert last["error"]["code"] == "request_timeout"
            text = join_text(chunks)
    assert text == "Once upon "
    await upstream.wait_until(lambda: upstream.answering == 0)


@pytest.mark.wire(35, 54)
async def test_a_silent_stream_shows_that_it_is_alive(keepalive_stack: Stack, upstream: Upstream):
    """While the model thinks and does not show it, and while its arguments take their time; comments, between events."""
    upstream.script(GatedReply(tools=[("toolu_1", "get_weather", ['{"city": "Rome"}'])]))
    async with open_stream(keepalive_stack, tools=[build_tool("get_weather")]) as stream:
        for _ in ("role", "call"):
            await stream.read_chunk()
        for _ in range(3):
            await stream.read_comment()
        await upstream.release()
        await stream.read_rest()


@pytest.mark.wire(35)
async def test_a_stream_that_waits_for_a_place_shows_that_it_is_alive(keepalive_stack: Stack, upstream: Upstream):
    """From the first: its status is 200 by then, and its answer follows."""
    upstream.script(GatedReply("first"), AnswerReply("second"))
    async with open_stream(keepalive_stack) as first:
        await upstream.wait_until(lambda: bool(upstream.held))
        async with open_stream(keepalive_stack) as second:
            assert second.response.status_code == 200
            for _ in range(3):
                await second.read_comment()
            await upstream.release()
            await first.read_rest()
            assert join_text(await second.read_rest()) == "second"


# --- Nothing internal ---------------------------------------------------------------------------------------------------

WRONG: list[Any] = [
    b"{",
    b"[]",
    b'{"messages": 7}',
    b'{"messages": [{"role": "nobody", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}',
    b'{"model": "../../etc/passwd", "messages": [{"role": "user", "content": "x"}]}',
]


@pytest.mark.wire(40, 44)
@pytest.mark.parametrize("body", WRONG)
async def test_a_refused_request_tells_nothing_internal(stack: Stack, upstream: Upstream, body: bytes):
    """The envelope is the same for every status."""
    response = await stack.client.post(
        "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    assert 400 <= response.status_code < 500
    error = parse_error(response)
    assert error["type"] == "invalid_request_error"
    assert "msgspec" not in response.text
    assert_nothing_internal(response.text, stack)
    assert upstream.requests == []


@pytest.mark.wire(43)
async def test_a_failure_has_the_callers_id_in_its_header_and_in_the_log(stack: Stack, upstream: Upstream):
    """So that both can be joined; in the executor's log too, where it has a word to say."""
    upstream.script(ErrorReply(400, "invalid_request_error"))
    response = await send_chat(stack, headers={"x-request-id": "caller-7.a_b"})
    assert response.headers["x-request-id"] == response.headers["request-id"] == "caller-7.a_b"
    assert int(response.headers["openai-processing-ms"]) >= 0

    def is_logged(words: str) -> bool:
        lines = stack.api.log.read_text().splitlines()
        return any("request_id=caller-7.a_b" in line and words in line for line in lines)

    # A line is written after its response.
    await wait_until(lambda: is_logged("request failed"))
    await wait_until(lambda: is_logged("path=/v1/chat/completions"))


ODD: Json = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}


@pytest.mark.wire(44, 56)
async def test_what_the_cli_says_to_the_model_is_not_said_to_the_client(
    each_credential_stack: Stack, upstream: Upstream
):
    """Its nudges, its tool errors and its sentences stay between the two."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": ODD}}
    upstream.script(AnswerReply("No."))
    response = await send_chat(each_credential_stack, response_format=form)
    assert response.json()["choices"][0]["message"]["refusal"] == "No."
    for word in ("tool_use_error", "structured-output-enforce", "StructuredOutput", "No such tool", "max_turns"):
        assert word not in response.text
