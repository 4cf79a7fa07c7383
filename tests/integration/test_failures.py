"""Whatever breaks, the client is told the truth in its own dialect, and nothing is left over."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat import (
    Json,
    Stream,
    collect_chunks,
    join_text,
    list_finish_reasons,
    open_stream,
    parse_error,
    parse_text,
    send_chat,
)
from tests.support.scripted.upstream import (
    AnswerReply,
    CutReply,
    ErrorEventReply,
    ErrorReply,
    GatedReply,
    StalledReply,
    Upstream,
)
from tests.support.stack import REPOSITORY, Program, Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT

BROKEN_CLI = REPOSITORY / "tests/support/scripted/broken_cli.py"


def told(chunks: list[Json]) -> Json:
    """The error that a stream ends with; the answer before it was not ended as if it were whole."""
    *answer, last = chunks
    assert all("error" not in chunk for chunk in answer)
    assert list_finish_reasons(answer) == []
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    return last["error"]


async def gone(pids: list[int]) -> None:
    """Wait until none of these CLI processes, nor what they started, is left."""
    await wait_until(lambda: not any(list_group(pid) for pid in pids))


# --- an executor


async def test_a_killed_executor_costs_its_jobs_an_honest_error_and_is_used_again_when_it_is_back(upstream: Upstream):
    """Streamed: an error event and the stream's end; whole: 502. Not one of its CLI processes stays."""
    upstream.script(StalledReply(1))
    async with Stack(upstream.url) as stack, asyncio.timeout(TEST_TIMEOUT):
        async with open_stream(stack) as stream:
            await stream.read_text()
            whole = asyncio.create_task(send_chat(stack))
            await upstream.wait_until(lambda: upstream.answering == 2)
            clis = [cli.pid for cli in stack.list_clis()]
            assert len(clis) >= 2
            [executor] = stack.executors
            await executor.stop(signal.SIGKILL)
            assert told(await stream.read_rest())["code"] == "executor_lost"
            response = await whole
        assert (response.status_code, parse_error(response)["code"]) == (502, "executor_lost")
        await gone(clis)
        await upstream.wait_until(lambda: upstream.hangups == 2)

        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (503, "no_executor")
        health = await stack.fetch_health()
        assert health
        assert (health["status"], [e["up"] for e in health["executors"]]) == ("down", [False])

        upstream.script(AnswerReply("back"))
        await executor.start()
        await stack.wait_until_ready()
        assert parse_text(await send_chat(stack)) == "back"
        await stack.wait_until_idle()
        await wait_until(lambda: len(list(stack.run_dir.glob("*.work/*"))) == 1)


async def test_of_two_executors_only_the_killed_ones_jobs_are_lost(upstream: Upstream):
    """The other's stream goes on to its end, and it takes the work to come."""
    upstream.script(GatedReply(("one ", "two")))
    async with (
        Stack(upstream.url, executors=2) as stack,
        asyncio.timeout(TEST_TIMEOUT),
        open_stream(stack) as first,
        open_stream(stack) as second,
    ):
        await upstream.wait_until(lambda: upstream.answering == 2)
        await upstream.release()
        assert [await first.read_text(), await second.read_text()] == ["one ", "one "]
        lost, kept = await killed(stack, first, second)
        await upstream.wait_until(lambda: upstream.answering == 1)
        await upstream.release()
        assert told(await lost.read_rest())["code"] == "executor_lost"
        chunks = await kept.read_rest()
        assert (join_text(chunks), list_finish_reasons(chunks)) == ("two", ["stop"])
        upstream.script(AnswerReply("next"))
        assert [parse_text(await send_chat(stack)) for _ in range(2)] == ["next", "next"]
        health = await stack.fetch_health()
        assert health
        assert health["status"] == "degraded"


async def killed(stack: Stack, first: Stream, second: Stream) -> tuple[Stream, Stream]:
    """Kill the executor of the first stream; that stream, and the other one. Equals are taken in order."""
    await stack.executors[0].stop(signal.SIGKILL)
    return first, second


async def test_without_an_executor_the_answer_is_503(api_without_executors: Stack):
    """Nothing is waited for."""
    for stream in (True, False):
        response = await send_chat(api_without_executors, stream=stream)
        assert (response.status_code, parse_error(response)["code"]) == (503, "no_executor")
        assert response.headers["retry-after"] == "1"


# --- the API


async def test_a_killed_api_leaves_no_job_behind(upstream: Upstream):
    """The executor ends what nobody waits for, and goes on."""
    upstream.script(StalledReply(1))
    async with Stack(upstream.url) as stack, asyncio.timeout(TEST_TIMEOUT):
        cli = await stack.find_idle_cli()
        waiting = asyncio.create_task(send_chat(stack, stream=True))
        await upstream.wait_until(lambda: upstream.answering == 1)
        await stack.api.stop(signal.SIGKILL)
        await gone([cli.pid])
        await upstream.wait_until(lambda: upstream.hangups == 1)
        await asyncio.gather(waiting, return_exceptions=True)
        upstream.script(AnswerReply("back"))
        await stack.api.start()
        await stack.wait_until_ready()
        assert parse_text(await send_chat(stack)) == "back"


# --- the CLI


@pytest.mark.parametrize("stream", [True, False])
async def test_a_killed_cli_is_an_honest_error(stack: Stack, upstream: Upstream, *, stream: bool):
    """It costs that answer and no other."""
    upstream.script(StalledReply(1))
    cli = await stack.find_idle_cli()
    if stream:
        async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as answer:
            await answer.read_text()
            os.kill(cli.pid, signal.SIGKILL)
            assert told(await answer.read_rest())["code"] == "cli_failed"
    else:
        waiting = asyncio.create_task(send_chat(stack))
        await upstream.wait_until(lambda: upstream.answering == 1)
        os.kill(cli.pid, signal.SIGKILL)
        response = await waiting
        assert (response.status_code, parse_error(response)["code"]) == (502, "cli_failed")
    await gone([cli.pid])
    upstream.script(AnswerReply("next"))
    assert parse_text(await send_chat(stack)) == "next"


async def test_a_parked_cli_that_dies_is_replaced(stack: Stack, upstream: Upstream):
    """Whoever comes next notices nothing."""
    cli = await stack.find_idle_cli()
    os.kill(cli.pid, signal.SIGKILL)
    await wait_until(lambda: not cli.is_running())
    assert parse_text(await send_chat(stack)) == "Hello world!"
    assert (await stack.find_idle_cli()).pid != cli.pid


def broken(folder: Path, mode: str) -> dict[str, str]:
    """The settings of a server whose CLI is broken."""
    script = folder / "claude"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {BROKEN_CLI} "{mode}"\n', encoding="utf-8")
    script.chmod(0o700)
    return {"CLAUDE_CLI_PATH": str(script)}


@pytest.mark.parametrize("mode", ["exits at once", "says nothing", "writes garbage"])
async def test_a_cli_that_does_not_work_is_an_honest_502(tmp_path: Path, upstream: Upstream, mode: str):
    """Within the time that setting up may take; and health says what is wrong."""
    async with Stack(
        upstream.url,
        settings=broken(tmp_path, mode),
        executor_module="tests.support.short_timeouts",
        wait_ready=False,
    ) as stack:
        for stream in (True, False):
            response = await send_chat(stack, stream=stream)
            assert (response.status_code, parse_error(response)["code"]) == (502, "cli_failed")

        async def complained() -> bool:
            health = await stack.fetch_health()
            assert health
            [executor] = health["executors"]
            return health["status"] == "down" and executor["problem"].startswith("the Claude Code CLI does not start")

        await wait_until(complained)
        ready = await stack.client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "down"})
        health = await stack.fetch_health()
        assert health
        assert (health["claude_cli_found"], health["cli_version"]) == (True, "")
        assert str(tmp_path) not in str(health)


async def test_a_cli_that_is_not_there_is_an_honest_502(upstream: Upstream):
    """Health says that it was not found."""
    async with Stack(upstream.url, settings={"CLAUDE_CLI_PATH": "/nonexistent/claude"}, wait_ready=False) as stack:
        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (502, "cli_failed")

        async def complained() -> bool:
            health = await stack.fetch_health()
            assert health
            assert (health["status"], health["claude_cli_found"]) == ("down", False)
            return "was not found" in health["executors"][0]["problem"]

        await wait_until(complained)


@pytest.mark.parametrize(
    "mode",
    [
        "exits at the question",
        "exits in the answer",
        "is killed in the answer",
        "writes garbage in the answer",
        "ends its answer with no reason",
        "closes its output in the answer",
    ],
)
async def test_a_cli_that_breaks_at_work_is_an_honest_error(tmp_path: Path, upstream: Upstream, mode: str):
    """Half an answer is never ended as if it were whole."""
    async with Stack(
        upstream.url, settings=broken(tmp_path, mode), executor_module="tests.support.no_cli_sandbox"
    ) as stack:
        expected = "upstream_cut" if mode == "ends its answer with no reason" else "cli_failed"
        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (502, expected)
        if mode != "exits at the question":
            chunks = await collect_chunks(stack)
            assert (join_text(chunks), told(chunks)["code"]) == ("half an ans", expected)
        await stack.wait_until_idle()


async def test_what_a_newer_cli_says_besides_changes_nothing(tmp_path: Path, upstream: Upstream):
    """Lines, events and stop reasons from the future are passed over."""
    settings = broken(tmp_path, "speaks of things unknown")
    async with Stack(upstream.url, settings=settings, executor_module="tests.support.no_cli_sandbox") as stack:
        chunks = await collect_chunks(stack)
        assert (join_text(chunks), list_finish_reasons(chunks)) == ("half an ans", ["stop"])


# --- the model's service


def cut(upstream: Upstream) -> None:
    """Break every connection to the service, now."""
    for connection in upstream._connections:
        connection.cancel()


@pytest.mark.wire(36)
async def test_a_stream_that_is_cut_is_never_passed_for_a_whole_one(stack: Stack, upstream: Upstream):
    """The words that came were sent; then the truth. The CLI's second try is not put behind them."""
    upstream.script(StalledReply(("some", " text")), AnswerReply("the second try"))
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as stream:
        assert [await stream.read_text(), await stream.read_text()] == ["some", " text"]
        cut(upstream)
        chunks = await stream.read_rest()
    assert join_text(chunks) == ""
    assert told(chunks)["code"] == "upstream_cut"


async def test_a_stream_that_the_service_breaks_off_is_never_passed_for_a_whole_one(stack: Stack, upstream: Upstream):
    """It may say that it can't go on."""
    upstream.script(ErrorEventReply(("some", " text")), AnswerReply("the second try"))
    chunks = await collect_chunks(stack)
    assert join_text(chunks) == "some text"
    assert told(chunks)["code"] in {"upstream_cut", "overloaded"}


@pytest.mark.parametrize("reply", [CutReply(("some", " text")), ErrorEventReply(("some", " text"))])
async def test_an_answer_that_is_cut_is_none(stack: Stack, upstream: Upstream, reply: Any):
    """Half an answer is none. How much of it the CLI passes on is a matter of chance, and so is the code."""
    upstream.script(reply)
    response = await send_chat(stack)
    told_as = (response.status_code, parse_error(response)["code"])
    assert told_as in {(502, "upstream_cut"), (502, "upstream_error"), (503, "overloaded")}


async def test_a_connection_that_is_lost_before_the_first_word_is_tried_again(stack: Stack, upstream: Upstream):
    """Nothing was said yet, so the answer is whole and is said once."""
    upstream.script(CutReply(0), AnswerReply("whole"))
    chunks = await collect_chunks(stack)
    assert (join_text(chunks), list_finish_reasons(chunks)) == ("whole", ["stop"])
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks] == ["assistant", None, None]
    upstream.script(CutReply(0), AnswerReply("whole"))
    assert parse_text(await send_chat(stack)) == "whole"


async def test_a_connection_that_is_lost_every_time_is_an_honest_error(stack: Stack, upstream: Upstream):
    """The CLI's own words about it are not an answer."""
    upstream.script(CutReply(0))
    response = await send_chat(stack)
    assert (response.status_code, parse_error(response)["code"]) == (502, "upstream_error")
    async with open_stream(stack) as stream:
        # The beginning of an answer may have come through, which settles the status.
        if stream.response.status_code == 200:
            chunks = await stream.read_rest()
            assert (join_text(chunks), told(chunks)["code"]) == ("", "upstream_error")
        else:
            assert stream.response.status_code == 502


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (ErrorReply(401, "authentication_error", "invalid x-api-key"), 503, "credential_refused"),
        (ErrorReply(403, "permission_error", "not allowed"), 503, "credential_refused"),
        (ErrorReply(400, "invalid_request_error", "messages: this is odd"), 400, "invalid_request"),
        (ErrorReply(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"), 400, "context_length_exceeded"),
        (ErrorReply(413, "request_too_large", "Request exceeds the maximum size"), 400, "context_length_exceeded"),
        (ErrorReply(404, "not_found_error", "model: claude-nothing"), 404, "model_not_found"),
        (ErrorReply(429, "rate_limit_error", "slow down"), 429, "rate_limit_exceeded"),
        (ErrorReply(500, "api_error", "internal server error"), 502, "upstream_error"),
        (ErrorReply(529, "overloaded_error", "Overloaded"), 503, "overloaded"),
    ],
    ids=["401", "403", "400", "400 too long", "413", "404", "429", "500", "529"],
)
@pytest.mark.wire(41, 42)
async def test_a_refusal_of_the_service_is_told_as_what_it_is(
    stack: Stack, upstream: Upstream, refusal: ErrorReply, status: int, code: str
):
    """Before the first byte, so with its own status, also where a stream was asked for."""
    upstream.script(refusal)
    for response in await asyncio.gather(send_chat(stack, stream=True), send_chat(stack, stream=False)):
        assert (response.status_code, parse_error(response)["code"]) == (status, code)
        assert response.headers["x-should-retry"] in {"true", "false"}


async def test_a_service_that_is_overloaded_for_a_moment_is_asked_again(stack: Stack, upstream: Upstream):
    """The client notices nothing."""
    upstream.script(ErrorReply(529, "overloaded_error"), AnswerReply("after all"))
    assert parse_text(await send_chat(stack)) == "after all"


async def test_a_service_that_is_not_there_is_an_honest_error():
    """An address where nobody listens."""
    async with Stack("http://127.0.0.1:9") as stack:
        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (502, "upstream_error")


@pytest.mark.wire(41, 60)
async def test_an_answer_that_takes_too_long_is_given_up(upstream: Upstream):
    """REQUEST_TIMEOUT, in both ways of answering; a stream that has begun by a sign of life is one, whatever comes."""
    upstream.script(StalledReply(1))
    async with Stack(upstream.url, settings={"REQUEST_TIMEOUT": "3", "SSE_KEEPALIVE_INTERVAL": "0.2"}) as stack:
        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (504, "request_timeout")
        assert told(await collect_chunks(stack))["code"] == "request_timeout"
        await stack.wait_until_idle()
        await upstream.wait_until(lambda: not upstream.answering)


# --- starting and ending


async def test_a_second_executor_of_the_same_name_is_refused(stack: Stack):
    """The first goes on."""
    second = Program(["executor", "--role", "claude"], stack.executors[0]._environment, stack.folder / "second.log")
    await second.start()
    assert await second.wait_for_exit() == 2
    assert parse_text(await send_chat(stack)) == "Hello world!"
