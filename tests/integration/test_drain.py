"""SIGTERM: no new work, what is under way gets a grace period, and then an end that says why."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.support.chat import (
    collect_chunks,
    join_text,
    list_finish_reasons,
    open_stream,
    parse_error,
    parse_text,
    send_chat,
)
from tests.support.scripted.upstream import AnswerReply, GatedReply, ReceivedRequest, StalledReply, Upstream
from tests.support.stack import Program, Stack, list_group, wait_until
from tests.support.timeouts import TEST_TIMEOUT

pytestmark = [pytest.mark.slow]

# A grace period that nobody waits for to its end.
LONG = "600"
WORDS = 20


def drained(stack: Stack, name: str) -> Program:
    return stack.api if name == "api" else stack.executors[0]


async def refused(stack: Stack) -> bool:
    """Whether new work is refused, on a connection of its own."""
    try:
        async with httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client:
            response = await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
    except httpx2.TransportError:
        return True
    assert response.status_code == 503
    assert parse_error(response)["code"] in {"draining", "no_executor"}
    return True


async def is_draining(stack: Stack, name: str) -> bool:
    if name == "tools":
        # Its socket stays: it is not the user who may take it away.
        assert stack.tools
        return "draining" in stack.tools.log.read_text(encoding="utf-8")
    if name == "executor":
        return not list(stack.run_dir.glob("claude-*.sock"))
    try:
        async with httpx2.AsyncClient(base_url=stack.url, timeout=TEST_TIMEOUT) as client:
            return (await client.get("/health/ready")).status_code == 503
    except httpx2.TransportError:
        return True


@pytest.mark.parametrize("name", ["api", "executor"])
async def test_a_stream_that_outlasts_the_grace_ends_with_the_reason(upstream: Upstream, name: str):
    """Streamed: an error event and the stream's end; whole: 503. Nothing is cut, and the end comes in time."""
    upstream.script(StalledReply(1))
    async with (
        Stack(upstream.url, settings={"DRAIN_TIMEOUT": "0.5"}) as stack,
        asyncio.timeout(TEST_TIMEOUT),
        open_stream(stack) as stream,
    ):
        assert await stream.read_text() == "w0 "
        plain_request = asyncio.create_task(send_chat(stack))
        await upstream.wait_until(lambda: upstream.answering == 2)
        clis = stack.list_clis()
        program = drained(stack, name)
        program.send_signal(signal.SIGTERM)
        *answer, last = await stream.read_rest()
        assert list_finish_reasons(answer) == []
        assert last["error"]["code"] == "draining"
        response = await plain_request
        assert (response.status_code, parse_error(response)["code"]) == (503, "draining")
        assert await program.wait_for_exit() == 0
        await upstream.wait_until(lambda: upstream.hangups == 2)
        if name == "executor":
            await wait_until(lambda: not any(list_group(cli.pid) for cli in clis))
            assert not list(stack.run_dir.iterdir())


async def test_idle_programs_end_at_once(upstream: Upstream):
    """The grace period is for jobs only; nothing is left in RUN_DIR, and no traceback in the logs."""
    async with Stack(upstream.url, settings={"DRAIN_TIMEOUT": LONG}) as stack:
        clis = stack.list_clis()
        await stack.client.aclose()
        statuses = [await program.stop(signal.SIGINT) for program in (stack.api, *stack.executors)]
        assert statuses == [0, 0]
        await wait_until(lambda: not any(list_group(cli.pid) for cli in clis))
        assert not list(stack.run_dir.iterdir())
        assert "Traceback" not in stack.read_logs()


def words(received: ReceivedRequest) -> list[str]:
    """What was asked, again and again."""
    return [f"{received.conversation[-1]['content'][-1]['text']} "] * WORDS


@pytest.mark.parametrize("name", ["api", "executor"])
async def test_draining_under_load_loses_nothing(upstream: Upstream, name: str):
    """Twice as many requests as slots, streamed and not, some in the queue: each gets its own answer.

    New requests are refused meanwhile, and the program ends with exit code 0.
    """
    upstream.script(lambda received: GatedReply(words(received)))
    async with Stack(upstream.url, settings={"DRAIN_TIMEOUT": LONG}) as stack:

        async def one(number: int) -> str:
            if number % 2:
                chunks = await collect_chunks(stack, f"number {number}")
                assert list_finish_reasons(chunks) == ["stop"]
                return join_text(chunks)
            return parse_text(await send_chat(stack, f"number {number}"))

        requests = [asyncio.create_task(one(number)) for number in range(8)]
        await wait_until(lambda: all_taken(stack, 8))
        drained(stack, name).send_signal(signal.SIGTERM)
        await wait_until(lambda: is_draining(stack, name))
        assert await refused(stack)
        upstream.script(lambda received: AnswerReply(words(received)))
        await upstream.release_all()
        assert await asyncio.gather(*requests) == [f"number {number} " * WORDS for number in range(8)]
        assert await drained(stack, name).wait_for_exit() == 0
        assert "Traceback" not in stack.read_logs()


async def all_taken(stack: Stack, count: int) -> bool:
    health = await stack.fetch_health()
    assert health
    [executor] = health["executors"]
    return executor["running"] + executor["waiting"] == count


class Gate:
    """A named pipe that a command waits at until it is opened. Mutable: its writing end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o644)
        self._path = path
        self._writer = -1
        self.waits = f"cat {path}"

    def is_reached(self) -> bool:
        """Whether the command waits."""
        # Refused as long as nobody reads.
        with contextlib.suppress(OSError):
            self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        return self._writer >= 0

    def open(self) -> None:
        """Let the command go on."""
        os.close(self._writer)


TOOLS = {"ALLOWED_COMMANDS": "cat,echo"}


async def test_commands_under_way_outlast_the_drain_of_their_executor(upstream: Upstream):
    """Each ends, and its output is whole."""
    async with Stack(upstream.url, settings={"DRAIN_TIMEOUT": LONG}, tools=TOOLS) as stack:
        assert stack.tools
        gates = [Gate(stack.files / f"gate-{number}") for number in range(4)]
        requests = [
            asyncio.create_task(
                stack.client.post("/api/tools/bash", json={"command": f"echo begun; {gate.waits}; echo {number}"})
            )
            for number, gate in enumerate(gates)
        ]
        for gate in gates:
            await wait_until(gate.is_reached)
        stack.tools.send_signal(signal.SIGTERM)
        await wait_until(lambda: is_draining(stack, "tools"))
        for gate in gates:
            gate.open()
        for number, response in enumerate(await asyncio.gather(*requests)):
            assert (response.status_code, response.json()["stdout"]) == (200, f"begun\n{number}\n")
        assert await stack.tools.wait_for_exit() == 0


async def test_a_running_model_keeps_its_tools_while_the_api_drains(upstream: Upstream):
    """The calls that it makes after the drain began are done, and it comes to its end."""

    def call(received: ReceivedRequest, command: str) -> AnswerReply:
        [name] = [tool["name"] for tool in received.body["tools"] if tool["name"].endswith("Bash")]
        return AnswerReply(tools=[(f"toolu_{received.number}", name, [json.dumps({"command": command})])])

    async with Stack(upstream.url, settings={"DRAIN_TIMEOUT": LONG}, tools=TOOLS) as stack:
        gate = Gate(stack.files / "gate")
        upstream.script(
            lambda received: call(received, f"{gate.waits}; echo first"),
            lambda received: call(received, "echo second"),
            AnswerReply("End."),
        )
        requests = asyncio.create_task(stack.client.post("/api/code", json={"prompt": "Work."}))
        await wait_until(gate.is_reached)
        stack.api.send_signal(signal.SIGTERM)
        await wait_until(lambda: is_draining(stack, "api"))
        gate.open()
        response = await requests
        assert (response.status_code, response.json()["result"]) == (200, "End.")
        assert [used["is_error"] for used in response.json()["tools_used"]] == [False, False]
        assert await stack.api.wait_for_exit() == 0
