"""Jobs on files and commands handed over: to whom, and what is said when an executor refuses, ends or is lost.

The executors are sockets that say what the test wants: the real ones are not lost at a chosen moment.
"""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from api.agent.answers import CodeAnswer, Step
from api.agent.call_queue import MAX_PARALLEL_CALLS, PendingCalls
from api.agent.loop import AgentEnvironment, run_agent
from api.agent.tool_definitions import TOOL_NAMES
from api.core.caller import Caller
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient, ToolJobMessage
from api.executors.turn_client import TurnClient
from api.http.drain import Drain
from shared.errors import ERROR_INFO, ErrorKind
from shared.events import Done, Event, Failed, TextDelta, ToolCall, ToolCallPending, Usage
from shared.tool_jobs import CommandOutput, CommandResult, JobDone, RunCommand, ToolsStatus
from shared.turn import Message, Text, ToolResult, Turn
from shared.wire import RunTool, ToApi, encode_frame, read_to_executor
from tests.support.meter import build_meter
from tests.support.timeouts import TEST_TIMEOUT

JOB, CALLER = RunCommand("ls"), Caller("req_tools")
WROTE, ENDED = CommandOutput("stdout", b"a.txt\n"), JobDone(CommandResult(0))
FULL = Failed(ErrorKind.QUEUE_FULL, retry_after=5)
DRAINING = Failed(ErrorKind.DRAINING, retry_after=1)
LOST = Failed(ErrorKind.EXECUTOR_LOST)
STATUS = ToolsStatus(("/f",), (), ("ls",), max_concurrent=4, running=0, waiting=0, draining=False)

type Serve = Callable[[asyncio.StreamWriter, RunTool], Coroutine[Any, Any, None]]


def says(*messages: ToApi | bytes) -> Serve:
    """An executor that says this, and closes."""

    async def serve(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        for message in messages:
            writer.write(message if isinstance(message, bytes) else encode_frame(message))
        await writer.drain()

    return serve


class Rig:
    """A tool client, and executors by name. Mutable: which executors got a job."""

    def __init__(self, folder: Path, drain: Drain, timeout: float) -> None:
        self.client = ToolClient(ExecutorPool(folder, "tools"), drain, timeout, build_meter(folder))
        self.asked: list[str] = []

    async def executor(
        self, name: str, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError):
            asked = await read_to_executor(reader)
            assert isinstance(asked, RunTool)
            self.asked.append(name)
            await serve(writer, asked)
        writer.close()

    async def done(self) -> list[ToolJobMessage]:
        """All that comes of a job."""
        async with asyncio.timeout(TEST_TIMEOUT):
            return [said async for said in self.client.run(JOB, CALLER)]


@asynccontextmanager
async def rig(*executors: Serve, drain: Drain | None = None, timeout: float = 60) -> AsyncGenerator[Rig]:
    """Executors tools-1, tools-2 and so on."""
    with tempfile.TemporaryDirectory(prefix="cah-") as folder:
        made = Rig(Path(folder), drain or Drain(1), timeout)
        servers: list[asyncio.Server] = []
        for number, serve in enumerate(executors, 1):
            name = f"tools-{number}"

            async def serving(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str = name, serve: Serve = serve
            ) -> None:
                await made.executor(name, serve, reader, writer)

            servers.append(await asyncio.start_unix_server(serving, f"{folder}/{name}.sock"))
        try:
            yield made
        finally:
            for server in servers:
                server.close()


@pytest.mark.parametrize(
    ("said", "comes"),
    [
        ((WROTE, ENDED), [WROTE, ENDED]),
        ((ENDED,), [ENDED]),
        ((), [LOST]),
        ((WROTE,), [WROTE, LOST]),
        ((WROTE, WROTE, DRAINING), [WROTE, WROTE, DRAINING]),
        ((WROTE, b"\0\0"), [WROTE, LOST]),
        ((WROTE, b"\xff\xff\xff\xff"), [WROTE, LOST]),
        ((WROTE, STATUS), [WROTE, LOST]),
        ((TextDelta("no job of this role says that"),), [LOST]),
        ((WROTE, ENDED, WROTE), [WROTE, ENDED]),
    ],
    ids=["whole", "silent", "at once", "midway", "drained", "cut", "garbage", "status", "event", "after the end"],
)
async def test_a_job_has_exactly_one_end(said: tuple[ToApi | bytes, ...], comes: list[ToolJobMessage]):
    """Also where the executor is lost in the middle, or does not keep to the protocol; nobody else is asked to do it again."""
    async with rig(says(*said), says(WROTE, ENDED)) as made:
        assert await made.done() == comes
        assert made.asked == ["tools-1"]


@pytest.mark.parametrize("refusal", [FULL, DRAINING, Failed(ErrorKind.TOOLS_UNAVAILABLE, "no sandbox here")])
async def test_who_can_not_take_it_is_passed_over(refusal: Failed):
    """Nothing of the job was done there; when nobody can, the last refusal says why."""
    async with rig(says(refusal), says(WROTE, ENDED)) as made:
        assert await made.done() == [WROTE, ENDED]
        assert made.asked == ["tools-1", "tools-2"]
    async with rig(says(DRAINING), says(refusal)) as made:
        assert await made.done() == [refusal]
        # Where all that is wrong is that they drain, the next ones of their names may listen by now.
        assert made.asked == ["tools-1", "tools-2"] * (2 if refusal is DRAINING else 1)


async def test_another_refusal_is_the_answer():
    """What one does not allow, none does."""
    refused = Failed(ErrorKind.NOT_ALLOWED, "the command id is not allowed")
    async with rig(says(refused), says(WROTE, ENDED)) as made:
        assert await made.done() == [refused]
        assert made.asked == ["tools-1"]


async def test_without_an_executor_there_are_no_tools():
    """Neither where none is, nor where the socket of one is left that is gone."""
    async with rig() as made:
        assert await made.done() == [Failed(ErrorKind.TOOLS_UNAVAILABLE, retry_after=1)]
        assert await made.client.get_result(JOB, CALLER) == Failed(ErrorKind.TOOLS_UNAVAILABLE, retry_after=1)
        assert await made.client.find_available() is None


async def test_the_least_loaded_is_asked_first():
    """While one is at work, the other gets the next."""
    go_on = asyncio.Event()

    async def works(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        writer.write(encode_frame(WROTE))
        await go_on.wait()
        writer.write(encode_frame(ENDED))

    async with rig(works, says(ENDED)) as made, aclosing(made.client.run(JOB, CALLER)) as first:
        assert await anext(first) == WROTE
        assert await made.done() == [ENDED]
        go_on.set()
        assert await anext(first) == ENDED
        assert made.asked == ["tools-1", "tools-2"]


async def test_jobs_that_come_at_the_same_moment_are_shared():
    """None of them waits until another is connected, to be counted."""
    all_there = asyncio.Barrier(4)

    async def works(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        await all_there.wait()
        writer.write(encode_frame(ENDED))

    async with rig(works, works) as made:
        assert await asyncio.gather(*(made.done() for _ in range(4))) == [[ENDED]] * 4
        assert sorted(made.asked) == ["tools-1", "tools-1", "tools-2", "tools-2"]


async def test_closing_the_messages_closes_the_connection():
    """That is what ends the job where it is done."""
    gone = asyncio.Event()

    async def works(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        writer.write(encode_frame(WROTE))
        with contextlib.suppress(ConnectionError):
            while not writer.transport.is_closing():
                writer.write(encode_frame(WROTE))
                await writer.drain()
                await asyncio.sleep(0)
        gone.set()

    async with rig(works) as made:
        async with aclosing(made.client.run(JOB, CALLER)) as messages:
            assert await anext(messages) == WROTE
        async with asyncio.timeout(TEST_TIMEOUT):
            await gone.wait()


async def test_a_server_that_ends_takes_no_job_and_ends_those_under_way():
    """After their grace, with an honest last word."""
    begun = asyncio.Event()

    async def works(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        writer.write(encode_frame(WROTE))
        begun.set()
        await asyncio.sleep(3600)

    drain = Drain(0)
    async with rig(works, drain=drain) as made:
        running = asyncio.create_task(made.done())
        await begun.wait()
        drain.begin()
        assert (await running)[-1] == DRAINING
        assert await made.done() == [DRAINING]


async def test_a_job_that_takes_too_long_is_ended():
    """By REQUEST_TIMEOUT, whatever the executor does."""

    async def works(writer: asyncio.StreamWriter, _asked: RunTool) -> None:
        await asyncio.sleep(3600)

    async with rig(works, timeout=0.05) as made:
        assert await made.done() == [Failed(ErrorKind.REQUEST_TIMEOUT)]


class Model:
    """A model in the place of a held turn: it calls, waits until every result is there, and speaks. Mutable: the results."""

    def __init__(self, *calls: ToolCallPending) -> None:
        self.results: list[ToolResult] = []
        self._calls = calls
        self._all = asyncio.Event()

    @asynccontextmanager
    async def run_interactive(self, _turn: Turn, _asking: Caller) -> AsyncGenerator["Model"]:
        self.events = self._events()
        try:
            yield self
        finally:
            await self.events.aclose()

    async def send_tool_result(self, result: ToolResult) -> None:
        self.results.append(result)
        if len(self.results) == len(self._calls):
            self._all.set()

    async def _events(self) -> AsyncGenerator[Event]:
        for call in self._calls:
            yield ToolCall(call.id, call.name)
        for call in self._calls:
            yield call
        await self._all.wait()
        yield TextDelta("So it is.")
        yield Done("end_turn", Usage())


async def worked(model: Model, client: ToolClient) -> list[Step]:
    """All that happens when it is at work."""
    ground = AgentEnvironment(cast("TurnClient", model), client, STATUS, TOOL_NAMES, max_turns=3)
    turn = Turn("opus", (Message("user", (Text("Go."),)),))
    async with asyncio.timeout(TEST_TIMEOUT):
        return [step async for step in run_agent(ground, turn, CALLER)]


def bash(call: str, command: str = "ls") -> ToolCallPending:
    return ToolCallPending(call, "Bash", json.dumps({"command": command}))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ((WROTE,), ErrorKind.EXECUTOR_LOST),
        ((), ErrorKind.EXECUTOR_LOST),
        ((FULL,), ErrorKind.QUEUE_FULL),
        ((DRAINING,), ErrorKind.DRAINING),
        ((WROTE, DRAINING), ErrorKind.DRAINING),
    ],
    ids=["lost midway", "lost at once", "full", "draining", "drained midway"],
)
async def test_a_model_is_told_of_the_call_that_failed_and_goes_on(said: tuple[ToApi, ...], kind: ErrorKind):
    """It is an error in place of the result, once, and the answer says so."""
    async with rig(says(*said)) as made:
        model = Model(bash("a"))
        steps = await worked(model, made.client)
    [result] = model.results
    assert (result.tool_use_id, result.is_error) == ("a", True)
    assert result.content == (Text(ERROR_INFO[kind].message),)
    answer = steps[-1]
    assert isinstance(answer, CodeAnswer)
    assert (answer.result, answer.is_error) == ("So it is.", False)
    assert [(used.name, used.is_error) for used in answer.tools_used] == [("Bash", True)]


async def test_one_of_several_calls_that_is_lost_leaves_the_others_whole():
    """Results go back in the order of the calls, whichever ends first."""
    others = asyncio.Event()

    async def works(writer: asyncio.StreamWriter, asked: RunTool) -> None:
        if asked.job == RunCommand("ls a", merge_streams=True):
            await others.wait()
        else:
            writer.write(encode_frame(WROTE) + encode_frame(ENDED))
            others.set()

    async with rig(works) as made:
        model = Model(bash("a", "ls a"), bash("b", "ls b"))
        steps = await worked(model, made.client)
    assert [(result.tool_use_id, result.is_error) for result in model.results] == [("a", True), ("b", False)]
    assert isinstance(steps[-1], CodeAnswer)
    assert [used.is_error for used in steps[-1].tools_used] == [True, False]


def begun(calls: PendingCalls) -> list[str]:
    return [wanted.id for wanted in calls.take_ready()]


def test_what_only_reads_is_done_side_by_side_and_what_may_change_something_alone():
    """Calls begin in their order, and not more of them than so many at once."""
    calls = PendingCalls(STATUS)
    for number in range(MAX_PARALLEL_CALLS + 1):
        calls.add(bash(f"r{number}"))
    calls.add(ToolCallPending("w", "Write", "{}"))
    calls.add(ToolCallPending("after", "Read", "{}"))
    assert begun(calls) == [f"r{number}" for number in range(MAX_PARALLEL_CALLS)]
    calls.finish("r1")
    assert begun(calls) == [f"r{MAX_PARALLEL_CALLS}"]
    for number in (0, 2, 3, 4):
        assert begun(calls) == []
        calls.finish(f"r{number}")
    assert begun(calls) == ["w"]
    assert begun(calls) == []
    calls.finish("w")
    assert begun(calls) == ["after"]


def test_a_command_that_could_write_is_done_alone():
    """Where some path is writable."""
    calls = PendingCalls(ToolsStatus(("/f",), ("/w",), ("ls",), max_concurrent=4, running=0, waiting=0, draining=False))
    for wanted in (bash("a"), ToolCallPending("b", "Read", "{}"), ToolCallPending("c", "Grep", "{}"), bash("d")):
        calls.add(wanted)
    assert begun(calls) == ["a"]
    calls.finish("a")
    assert begun(calls) == ["b", "c"]


def test_results_go_back_in_the_order_of_the_calls():
    """One that is ready early waits for those before it."""
    calls = PendingCalls(STATUS)
    for call in "abc":
        calls.add(bash(call))
    back = {call: [wanted.id for wanted, _ in calls.add_result(ToolResult(call, ()))] for call in "bac"}
    assert back == {"b": [], "a": ["a", "b"], "c": ["c"]}
