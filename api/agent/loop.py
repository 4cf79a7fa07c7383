"""A model at work with the server's tools: its calls are done as it makes them, until it has said all.

Law: each call gets exactly one result, in the order of the calls; calls that only read are done at the same time, one that may
change something is done alone. A model that goes on beyond the limit of turns is ended, and the answer says so; closing
ends the model and the commands that run.
"""

from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct, structs

from api.agent.answer_builder import AnswerBuilder
from api.agent.answers import Step, ToolEnded, ToolOutputChunk, ToolStarted, ToolUsed
from api.agent.call_queue import PendingCalls
from api.agent.tool_calls import InvalidToolCall, build_job, summarize_arguments
from api.agent.tool_results import build_tool_result
from api.core.caller import Caller
from api.executors.stream_merger import StreamMerger
from api.executors.tool_client import ToolClient
from api.executors.turn_client import InteractiveTurn, TurnClient
from shared.errors import ErrorKind
from shared.events import Event, Failed, ToolCall, ToolCallPending
from shared.tool_jobs import CommandOutput, JobDone, JobResult, ToolsStatus
from shared.turn import Text, ToolResult, Turn

TURN_LIMIT_MESSAGE = (
    "This call was not done: the limit of turns is reached. Say now what you have found, without calling a tool."
)

# The key of the model's events, beside the ids of its calls.
MODEL_KEY = ""

type CallStep = ToolStarted | ToolOutputChunk | ToolEnded | ToolResult


class AgentEnvironment(Struct, frozen=True):
    """Where a model works. offered: the names of its tools."""

    turn_client: TurnClient
    tool_client: ToolClient
    status: ToolsStatus
    tool_names: tuple[str, ...]
    max_turns: int


async def run_agent(environment: AgentEnvironment, turn: Turn, caller: Caller) -> AsyncGenerator[Step]:
    """All that happens, to the answer or to Failed."""
    saying = AnswerBuilder(turn.model)
    turns = TurnCounter(environment.max_turns)
    calls = PendingCalls(environment.status)
    together = StreamMerger[str, Event | CallStep]()
    async with environment.turn_client.run_interactive(turn, caller) as held, aclosing(together.merge()) as steps:
        together.add(MODEL_KEY, held.events)
        async for key, step in steps:
            if isinstance(step, ToolResult):
                await _send_results(held, saying, calls.add_result(step))
            elif isinstance(step, ToolStarted | ToolOutputChunk | ToolEnded):
                yield step
            elif step is not None:
                turns.add_event(step)
                if turns.must_stop:
                    break
                saying.add_event(step)
                yield step
            elif key == MODEL_KEY:
                break
            else:
                calls.finish(key)
            if isinstance(step, Failed):
                return
            if isinstance(step, ToolCallPending):
                calls.add(step)
            for wanted in calls.take_ready():
                together.add(wanted.id, run_call(environment, wanted, caller, turns.rejection))
    yield saying.build_code_answer(out_of_turns=turns.rejection is not None)


async def _send_results(
    interactive_turn: InteractiveTurn, builder: AnswerBuilder, results: list[tuple[ToolCallPending, ToolResult]]
) -> None:
    for wanted, result in results:
        builder.tools_used.append(ToolUsed(wanted.name, summarize_arguments(wanted.arguments), result.is_error))
        await interactive_turn.send_tool_result(result)


class TurnCounter:
    """How often the model called. Mutable: the count. over: what a call is told that is one too many.

    gone: it calls all the same.
    """

    def __init__(self, most: int) -> None:
        self._max_turns = most
        self._count = 0
        self._called = False

    def add_event(self, event: Event) -> None:
        """Take in what happened: calls that come before the first is wanted belong to one message."""
        if isinstance(event, ToolCall) and (self._called or not self._count):
            self._count, self._called = self._count + 1, False
        self._called = self._called or isinstance(event, ToolCallPending)

    @property
    def rejection(self) -> InvalidToolCall | None:
        return InvalidToolCall(TURN_LIMIT_MESSAGE) if self._count > self._max_turns else None

    @property
    def must_stop(self) -> bool:
        return self._count > self._max_turns + 1


async def run_call(
    environment: AgentEnvironment, wanted: ToolCallPending, caller: Caller, rejection: InvalidToolCall | None
) -> AsyncGenerator[CallStep]:
    """What happens in a call, and its result."""
    yield ToolStarted(wanted.id, wanted.name, summarize_arguments(wanted.arguments))
    asked = rejection or build_job(
        wanted.name, wanted.arguments, environment.tool_names, environment.status.command_timeout
    )
    output: list[CommandOutput] = []
    came: JobResult | Failed | InvalidToolCall = Failed(ErrorKind.EXECUTOR_LOST)
    if isinstance(asked, InvalidToolCall):
        came = asked
    else:
        words = {stream: getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")}
        async with aclosing(environment.tool_client.run(asked, structs.replace(caller, is_nested=True))) as messages:
            async for said in messages:
                match said:
                    case CommandOutput(stream, data):
                        output.append(said)
                        if text := words[stream].decode(data):
                            yield ToolOutputChunk(wanted.id, stream, text)
                    case JobDone(result):
                        came = result
                    case Failed():
                        came = said
    result = build_tool_result(wanted.id, came, output, environment.status)
    texts = [block.text for block in result.content if isinstance(block, Text)]
    yield ToolEnded(wanted.id, wanted.name, result.is_error, "\n".join(texts))
    yield result
