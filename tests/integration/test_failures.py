"""Whatever breaks, the client is told the truth in its own dialect, and nothing is left over."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

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
    GatedReply,
    StalledReply,
    Upstream,
)
from tests.support.stack import REPOSITORY, Program, Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT

BROKEN_CLI = REPOSITORY / "tests/support/scripted/broken_cli.py"


def get_final_error(chunks: list[Json]) -> Json:
    """The error that a stream ends with; the answer before it was not ended as if it were whole."""
    *answer, last = chunks
    assert all("error" not in chunk for chunk in answer)
    assert list_finish_reasons(answer) == []
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    return last["error"]


async def wait_until_gone(pids: list[int]) -> None:
    """Wait until none of these CLI processes, nor what they started, is left."""
    await wait_until(lambda: not any(list_group(pid) for pid in pids))


# --- an executor


async def test_a_killed_executor_fails_its_jobs_and_is_used_again_after_its_restart(upstream: Upstream):
    """Streamed: an error event and the stream's end; whole: 502. Not one of its CLI processes stays."""
    upstream.script(StalledReply(1))
    async with Stack(upstream.url) as stack, asyncio.timeout(TEST_TIMEOUT):
        async with open_stream(stack) as stream:
            await stream.read_text()
            plain = asyncio.create_task(send_chat(stack))
            await upstream.wait_until(lambda: upstream.answering == 2)
            clis = [cli.pid for cli in stack.list_clis()]
            assert len(clis) >= 2
            [executor] = stack.executors
            await executor.stop(signal.SIGKILL)
            assert get_final_error(await stream.read_rest())["code"] == "executor_lost"
            response = await plain
        assert (response.status_code, parse_error(response)["code"]) == (502, "executor_lost")
        await wait_until_gone(clis)
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
        await stack.find_idle_cli()
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
        lost, surviving = await kill_first_executor(stack, first, second)
        await upstream.wait_until(lambda: upstream.answering == 1)
        await upstream.release()
        assert get_final_error(await lost.read_rest())["code"] == "executor_lost"
        chunks = await surviving.read_rest()
        assert (join_text(chunks), list_finish_reasons(chunks)) == ("two", ["stop"])
        upstream.script(AnswerReply("next"))
        assert [parse_text(await send_chat(stack)) for _ in range(2)] == ["next", "next"]
        health = await stack.fetch_health()
        assert health
        assert health["status"] == "degraded"


async def kill_first_executor(stack: Stack, first: Stream, second: Stream) -> tuple[Stream, Stream]:
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
        await wait_until_gone([cli.pid])
        await upstream.wait_until(lambda: upstream.hangups == 1)
        await asyncio.gather(waiting, return_exceptions=True)
        upstream.script(AnswerReply("back"))
        await stack.api.start()
        await stack.wait_until_ready()
        assert parse_text(await send_chat(stack)) == "back"


# --- the CLI


@pytest.mark.parametrize("stream", [True, False])
async def test_a_killed_cli_is_an_error(stack: Stack, upstream: Upstream, *, stream: bool):
    """It costs that answer and no other."""
    upstream.script(StalledReply(1))
    cli = await stack.find_idle_cli()
    if stream:
        async with asyncio.timeout(TEST_TIMEOUT), open_stream(stack) as answer:
            await answer.read_text()
            os.kill(cli.pid, signal.SIGKILL)
            assert get_final_error(await answer.read_rest())["code"] == "cli_failed"
    else:
        waiting = asyncio.create_task(send_chat(stack))
        await upstream.wait_until(lambda: upstream.answering == 1)
        os.kill(cli.pid, signal.SIGKILL)
        response = await waiting
        assert (response.status_code, parse_error(response)["code"]) == (502, "cli_failed")
    await wait_until_gone([cli.pid])
    upstream.script(AnswerReply("next"))
    assert parse_text(await send_chat(stack)) == "next"


async def test_an_idle_cli_that_dies_is_replaced(stack: Stack, upstream: Upstream):
    """Whoever comes next notices nothing."""
    cli = await stack.find_idle_cli()
    os.kill(cli.pid, signal.SIGKILL)
    await wait_until(lambda: not cli.is_running())
    assert parse_text(await send_chat(stack)) == "Hello world!"
    assert (await stack.find_idle_cli()).pid != cli.pid


class BrokenCli:
    """A CLI that fails in a given way. Mutable: its mode, which holds for the processes that start from then on."""

    def __init__(self, folder: Path) -> None:
        self._mode = folder / "mode"
        script = folder / "claude"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {BROKEN_CLI} "$(cat {self._mode})"\n', encoding="utf-8")
        script.chmod(0o700)
        self.settings = {"CLAUDE_CLI_PATH": str(script)}

    def set_mode(self, mode: str) -> None:
        self._mode.write_text(mode, encoding="utf-8")


async def test_a_cli_that_does_not_work_is_a_502(tmp_path: Path, upstream: Upstream):
    """Within the time that setting up may take; health shows what is wrong."""
    cli = BrokenCli(tmp_path)
    cli.set_mode("exits at once")
    async with Stack(
        upstream.url,
        settings=cli.settings,
        executor_module="tests.support.short_timeouts",
        wait_ready=False,
    ) as stack:
        for mode, stream in (("exits at once", True), ("says nothing", False), ("writes garbage", True)):
            cli.set_mode(mode)
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


async def test_a_missing_cli_is_a_502(upstream: Upstream):
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


@pytest.fixture(scope="module")
async def broken_cli(
    shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[tuple[Stack, BrokenCli]]:
    """Programs with a broken CLI, which starts for each request."""
    cli = BrokenCli(tmp_path_factory.mktemp("cli"))
    async with Stack(
        shared_upstream.url, settings=cli.settings, executor_module="tests.support.no_cli_sandbox", pool_size=0
    ) as stack:
        yield stack, cli


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
async def test_a_cli_that_breaks_during_a_request_is_an_error(broken_cli: tuple[Stack, BrokenCli], mode: str):
    """A partial answer never ends like a complete one."""
    stack, cli = broken_cli
    cli.set_mode(mode)
    expected = "upstream_cut" if mode == "ends its answer with no reason" else "cli_failed"
    response = await send_chat(stack)
    assert (response.status_code, parse_error(response)["code"]) == (502, expected)
    if mode != "exits at the question":
        chunks = await collect_chunks(stack)
        assert (join_text(chunks), get_final_error(chunks)["code"]) == ("half an ans", expected)
    await stack.wait_until_idle()


async def test_unknown_output_of_a_newer_cli_is_ignored(broken_cli: tuple[Stack, BrokenCli]):
    """Unknown lines, events and stop reasons."""
    stack, cli = broken_cli
    cli.set_mode("speaks of things unknown")
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
    assert get_final_error(chunks)["code"] == "upstream_cut"


async def test_a_plain_answer_that_is_cut_is_an_error(stack: Stack, upstream: Upstream):
    """How much of it the CLI passes on depends on timing, and so does the code."""
    upstream.script(CutReply(("some", " text")))
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


async def test_a_connection_that_is_lost_every_time_is_an_error(stack: Stack, upstream: Upstream):
    """The CLI's own words about it are not an answer."""
    upstream.script(CutReply(0))
    response = await send_chat(stack)
    assert (response.status_code, parse_error(response)["code"]) == (502, "upstream_error")
    async with open_stream(stack) as stream:
        # The beginning of an answer may have come through, which settles the status.
        if stream.response.status_code == 200:
            chunks = await stream.read_rest()
            assert (join_text(chunks), get_final_error(chunks)["code"]) == ("", "upstream_error")
        else:
            assert stream.response.status_code == 502


async def test_an_unreachable_service_is_an_error():
    """An address where nobody listens."""
    async with Stack("http://127.0.0.1:9", pool_size=0) as stack:
        response = await send_chat(stack)
        assert (response.status_code, parse_error(response)["code"]) == (502, "upstream_error")


# --- starting and ending


async def test_a_second_executor_of_the_same_name_is_refused(stack: Stack):
    """The first goes on."""
    second = Program(["executor", "--role", "claude"], stack.executors[0]._environment, stack.folder / "second.log")
    await second.start()
    assert await second.wait_for_exit() == 2
    assert parse_text(await send_chat(stack)) == "Hello world!"
