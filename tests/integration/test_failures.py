"""Whatever breaks, the client is told the truth in its own dialect, and nothing is left over."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat import Json, Stream, answered, ask, error_of, finish_of, streamed, streaming, text_of
from tests.support.scripted.upstream import Breaks, Cuts, Gated, Refuses, Says, Stalls, Upstream
from tests.support.stack import REPOSITORY, Program, Stack, group, until
from tests.support.timeouts import BOUND

BROKEN_CLI = REPOSITORY / "tests" / "scripted" / "broken_cli.py"


def told(chunks: list[Json]) -> Json:
    """The error that a stream ends with; the answer before it was not ended as if it were whole."""
    *answer, last = chunks
    assert all("error" not in chunk for chunk in answer)
    assert finish_of(answer) == []
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    return last["error"]


async def gone(pids: list[int]) -> None:
    """Wait until none of these CLI processes, nor what they started, is left."""
    await until(lambda: not any(group(pid) for pid in pids))


# --- an executor


async def test_a_killed_executor_costs_its_jobs_an_honest_error_and_is_used_again_when_it_is_back(upstream: Upstream):
    """Streamed: an error event and the stream's end; whole: 502. Not one of its CLI processes stays."""
    upstream.script(Stalls(1))
    async with Stack(upstream.url) as stack, asyncio.timeout(BOUND):
        async with streaming(stack) as stream:
            await stream.text()
            whole = asyncio.create_task(ask(stack))
            await upstream.until(lambda: upstream.answering == 2)
            clis = [cli.pid for cli in stack.clis()]
            assert len(clis) >= 2
            [executor] = stack.executors
            await executor.end(signal.SIGKILL)
            assert told(await stream.rest())["code"] == "executor_lost"
            response = await whole
        assert (response.status_code, error_of(response)["code"]) == (502, "executor_lost")
        await gone(clis)
        await upstream.until(lambda: upstream.hangups == 2)

        response = await ask(stack)
        assert (response.status_code, error_of(response)["code"]) == (503, "no_executor")
        health = await stack.health()
        assert health
        assert (health["status"], [e["up"] for e in health["executors"]]) == ("down", [False])

        upstream.script(Says("back"))
        await executor.start()
        await stack.ready()
        assert answered(await ask(stack)) == "back"
        await stack.idle()
        await until(lambda: len(list(stack.run_dir.glob("*.work/*"))) == 1)


async def test_of_two_executors_only_the_killed_ones_jobs_are_lost(upstream: Upstream):
    """The other's stream goes on to its end, and it takes the work to come."""
    upstream.script(Gated(("one ", "two")))
    async with (
        Stack(upstream.url, executors=2) as stack,
        asyncio.timeout(BOUND),
        streaming(stack) as first,
        streaming(stack) as second,
    ):
        await upstream.until(lambda: upstream.answering == 2)
        await upstream.release()
        assert [await first.text(), await second.text()] == ["one ", "one "]
        lost, kept = await killed(stack, first, second)
        await upstream.until(lambda: upstream.answering == 1)
        await upstream.release()
        assert told(await lost.rest())["code"] == "executor_lost"
        chunks = await kept.rest()
        assert (text_of(chunks), finish_of(chunks)) == ("two", ["stop"])
        upstream.script(Says("next"))
        assert [answered(await ask(stack)) for _ in range(2)] == ["next", "next"]
        health = await stack.health()
        assert health
        assert health["status"] == "degraded"


async def killed(stack: Stack, first: Stream, second: Stream) -> tuple[Stream, Stream]:
    """Kill the executor of the first stream; that stream, and the other one. Equals are taken in order."""
    await stack.executors[0].end(signal.SIGKILL)
    return first, second


async def test_without_an_executor_the_answer_is_503(upstream: Upstream):
    """Nothing is waited for."""
    async with Stack(upstream.url, executors=0) as stack:
        for stream in (True, False):
            response = await ask(stack, stream=stream)
            assert (response.status_code, error_of(response)["code"]) == (503, "no_executor")
            assert response.headers["retry-after"] == "1"


# --- the API


async def test_a_killed_api_leaves_no_job_behind(upstream: Upstream):
    """The executor ends what nobody waits for, and goes on."""
    upstream.script(Stalls(1))
    async with Stack(upstream.url) as stack, asyncio.timeout(BOUND):
        cli = await stack.cli()
        waiting = asyncio.create_task(ask(stack, stream=True))
        await upstream.until(lambda: upstream.answering == 1)
        await stack.api.end(signal.SIGKILL)
        await gone([cli.pid])
        await upstream.until(lambda: upstream.hangups == 1)
        await asyncio.gather(waiting, return_exceptions=True)
        upstream.script(Says("back"))
        await stack.api.start()
        await stack.ready()
        assert answered(await ask(stack)) == "back"


# --- the CLI


@pytest.mark.parametrize("stream", [True, False])
async def test_a_killed_cli_is_an_honest_error(stack: Stack, upstream: Upstream, *, stream: bool):
    """It costs that answer and no other."""
    upstream.script(Stalls(1))
    cli = await stack.cli()
    if stream:
        async with asyncio.timeout(BOUND), streaming(stack) as answer:
            await answer.text()
            os.kill(cli.pid, signal.SIGKILL)
            assert told(await answer.rest())["code"] == "cli_failed"
    else:
        waiting = asyncio.create_task(ask(stack))
        await upstream.until(lambda: upstream.answering == 1)
        os.kill(cli.pid, signal.SIGKILL)
        response = await waiting
        assert (response.status_code, error_of(response)["code"]) == (502, "cli_failed")
    await gone([cli.pid])
    upstream.script(Says("next"))
    assert answered(await ask(stack)) == "next"


async def test_a_parked_cli_that_dies_is_replaced(stack: Stack, upstream: Upstream):
    """Whoever comes next notices nothing."""
    cli = await stack.cli()
    os.kill(cli.pid, signal.SIGKILL)
    await until(lambda: not cli.is_running())
    assert answered(await ask(stack)) == "Hello world!"
    assert (await stack.cli()).pid != cli.pid


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
            response = await ask(stack, stream=stream)
            assert (response.status_code, error_of(response)["code"]) == (502, "cli_failed")

        async def complained() -> bool:
            health = await stack.health()
            assert health
            [executor] = health["executors"]
            return health["status"] == "down" and executor["problem"].startswith("the Claude Code CLI does not start")

        await until(complained)
        ready = await stack.client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "down"})
        health = await stack.health()
        assert health
        assert (health["claude_cli_found"], health["cli_version"]) == (True, "")
        assert str(tmp_path) not in str(health)


async def test_a_cli_that_is_not_there_is_an_honest_502(upstream: Upstream):
    """Health says that it was not found."""
    async with Stack(upstream.url, settings={"CLAUDE_CLI_PATH": "/nonexistent/claude"}, wait_ready=False) as stack:
        response = await ask(stack)
        assert (response.status_code, error_of(response)["code"]) == (502, "cli_failed")

        async def complained() -> bool:
            health = await stack.health()
            assert health
            assert (health["status"], health["claude_cli_found"]) == ("down", False)
            return "was not found" in health["executors"][0]["problem"]

        await until(complained)


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
        response = await ask(stack)
        assert (response.status_code, error_of(response)["code"]) == (502, expected)
        if mode != "exits at the question":
            chunks = await streamed(stack)
            assert (text_of(chunks), told(chunks)["code"]) == ("half an ans", expected)
        await stack.idle()


async def test_what_a_newer_cli_says_besides_changes_nothing(tmp_path: Path, upstream: Upstream):
    """Lines, events and stop reasons from the future are passed over."""
    settings = broken(tmp_path, "speaks of things unknown")
    async with Stack(upstream.url, settings=settings, executor_module="tests.support.no_cli_sandbox") as stack:
        chunks = await streamed(stack)
        assert (text_of(chunks), finish_of(chunks)) == ("half an ans", ["stop"])


# --- the model's service


def cut(upstream: Upstream) -> None:
    """Break every connection to the service, now."""
    for connection in upstream._connections:
        connection.cancel()


@pytest.mark.wire(36)
async def test_a_stream_that_is_cut_is_never_passed_for_a_whole_one(stack: Stack, upstream: Upstream):
    """The words that came were sent; then the truth. The CLI's second try is not put behind them."""
    upstream.script(Stalls(("some", " text")), Says("the second try"))
    async with asyncio.timeout(BOUND), streaming(stack) as stream:
        assert [await stream.text(), await stream.text()] == ["some", " text"]
        cut(upstream)
        chunks = await stream.rest()
    assert text_of(chunks) == ""
    assert told(chunks)["code"] == "upstream_cut"


async def test_a_stream_that_the_service_breaks_off_is_never_passed_for_a_whole_one(stack: Stack, upstream: Upstream):
    """It may say that it can't go on."""
    upstream.script(Breaks(("some", " text")), Says("the second try"))
    chunks = await streamed(stack)
    assert text_of(chunks) == "some text"
    assert told(chunks)["code"] in {"upstream_cut", "overloaded"}


@pytest.mark.parametrize("reply", [Cuts(("some", " text")), Breaks(("some", " text"))])
async def test_an_answer_that_is_cut_is_none(stack: Stack, upstream: Upstream, reply: Any):
    """Half an answer is none. How much of it the CLI passes on is a matter of chance, and so is the code."""
    upstream.script(reply)
    response = await ask(stack)
    told_as = (response.status_code, error_of(response)["code"])
    assert told_as in {(502, "upstream_cut"), (502, "upstream_error"), (503, "overloaded")}


async def test_a_connection_that_is_lost_before_the_first_word_is_tried_again(stack: Stack, upstream: Upstream):
    """Nothing was said yet, so the answer is whole and is said once."""
    upstream.script(Cuts(0), Says("whole"))
    chunks = await streamed(stack)
    assert (text_of(chunks), finish_of(chunks)) == ("whole", ["stop"])
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks] == ["assistant", None, None]
    upstream.script(Cuts(0), Says("whole"))
    assert answered(await ask(stack)) == "whole"


async def test_a_connection_that_is_lost_every_time_is_an_honest_error(stack: Stack, upstream: Upstream):
    """The CLI's own words about it are not an answer."""
    upstream.script(Cuts(0))
    response = await ask(stack)
    assert (response.status_code, error_of(response)["code"]) == (502, "upstream_error")
    async with streaming(stack) as stream:
        # The beginning of an answer may have come through, which settles the status.
        if stream.response.status_code == 200:
            chunks = await stream.rest()
            assert (text_of(chunks), told(chunks)["code"]) == ("", "upstream_error")
        else:
            assert stream.response.status_code == 502


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refuses(401, "authentication_error", "invalid x-api-key"), 503, "credential_refused"),
        (Refuses(403, "permission_error", "not allowed"), 503, "credential_refused"),
        (Refuses(400, "invalid_request_error", "messages: this is odd"), 400, "invalid_request"),
        (Refuses(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"), 400, "context_length_exceeded"),
        (Refuses(413, "request_too_large", "Request exceeds the maximum size"), 400, "context_length_exceeded"),
        (Refuses(404, "not_found_error", "model: claude-nothing"), 404, "model_not_found"),
        (Refuses(429, "rate_limit_error", "slow down"), 429, "rate_limit_exceeded"),
        (Refuses(500, "api_error", "internal server error"), 502, "upstream_error"),
        (Refuses(529, "overloaded_error", "Overloaded"), 503, "overloaded"),
    ],
    ids=["401", "403", "400", "400 too long", "413", "404", "429", "500", "529"],
)
@pytest.mark.wire(41, 42)
async def test_a_refusal_of_the_service_is_told_as_what_it_is(
    stack: Stack, upstream: Upstream, refusal: Refuses, status: int, code: str
):
    """Before the first byte, so with its own status, also where a stream was asked for."""
    upstream.script(refusal)
    for response in await asyncio.gather(ask(stack, stream=True), ask(stack, stream=False)):
        assert (response.status_code, error_of(response)["code"]) == (status, code)
        assert response.headers["x-should-retry"] in {"true", "false"}


async def test_a_service_that_is_overloaded_for_a_moment_is_asked_again(stack: Stack, upstream: Upstream):
    """The client notices nothing."""
    upstream.script(Refuses(529, "overloaded_error"), Says("after all"))
    assert answered(await ask(stack)) == "after all"


async def test_a_service_that_is_not_there_is_an_honest_error():
    """An address where nobody listens."""
    async with Stack("http://127.0.0.1:9") as stack:
        response = await ask(stack)
        assert (response.status_code, error_of(response)["code"]) == (502, "upstream_error")


@pytest.mark.wire(41, 60)
async def test_an_answer_that_takes_too_long_is_given_up(upstream: Upstream):
    """REQUEST_TIMEOUT, in both ways of answering; a stream that has begun by a sign of life is one, whatever comes."""
    upstream.script(Stalls(1))
    async with Stack(upstream.url, settings={"REQUEST_TIMEOUT": "3", "SSE_KEEPALIVE_INTERVAL": "0.2"}) as stack:
        response = await ask(stack)
        assert (response.status_code, error_of(response)["code"]) == (504, "request_timeout")
        assert told(await streamed(stack))["code"] == "request_timeout"
        await stack.idle()
        await upstream.until(lambda: not upstream.answering)


# --- starting and ending


async def test_a_second_executor_of_the_same_name_is_refused(stack: Stack):
    """The first goes on."""
    second = Program(["executor", "--role", "claude"], stack.executors[0]._environment, stack.folder / "second.log")
    await second.start()
    assert await second.ended() == 2
    assert answered(await ask(stack)) == "Hello world!"
