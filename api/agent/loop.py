"""The agent loop: runs a model with the server's tools and executes its calls until it has answered.

Invariants: each call gets exactly one result, in the order of the calls. Read-only calls run in parallel; a call that may
change something runs alone. A model that continues beyond the turn limit is ended, and the answer says so. Closing the
loop ends the model and the running commands.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct, structs

from api.agent.answer_builder import AnswerBuilder
from api.agent.answers import Step, ToolEnded, ToolOutputChunk, ToolStarted, ToolUsed
from api.agent.call_queue import PendingCalls
from api.agent.command_text import OutputDecoder
from api.agent.tool_calls import InvalidToolCall, build_job, summarize_arguments
from api.agent.tool_results import build_tool_result
from api.core.caller import Caller
from api.executors.stream_merger import StreamMerger
from api.executors.tool_client import ToolClient
from api.executors.turn_client import InteractiveTurn, TurnClient
from shared.errors import ErrorKind
from shared.events import Event, Failed, ToolCall, ToolCallPending
from shared.tool_jobs import CommandOutput, JobDone, JobResult, ToolJob, ToolsStatus
from shared.turn import Text, ToolResult, Turn

TURN_LIMIT_MESSAGE = (
    "This call was not executed: the turn limit is reached. Report what you have found, without calling a tool."
)

# The key of the model's events among the ids of its calls.
MODEL_KEY = ""

type CallStep = ToolStarted | ToolOutputChunk | ToolEnded | ToolResult
type CallOutcome = JobResult | Failed | InvalidToolCall


class AgentEnvironment(Struct, frozen=True):
    """The clients and limits of an agent loop. tool_names: the tools that the model may use."""

    turn_client: TurnClient
    tool_client: ToolClient
    status: ToolsStatus
    tool_names: tuple[str, ...]
    max_turns: int


async def run_agent(environment: AgentEnvironment, turn: Turn, caller: Caller) -> AsyncGenerator[Step]:
    """Yields every step of the work, up to the answer or Failed."""
    async with environment.turn_client.run_interactive(turn, caller) as interactive_turn:
        loop = AgentLoop(environment, interactive_turn, turn.model, caller)
        async with aclosing(loop.run()) as steps:
            async for step in steps:
                yield step


class AgentLoop:
    """One run of a model with tools. Mutable: the turns, the pending calls, and the answer so far."""

    def __init__(
        self, environment: AgentEnvironment, interactive_turn: InteractiveTurn, model: str, caller: Caller
    ) -> None:
        self._environment = environment
        self._interactive_turn = interactive_turn
        self._caller = caller
        self._answer = AnswerBuilder(model)
        self._turns = TurnCounter(environment.max_turns)
        self._calls = PendingCalls(environment.status)
        self._merger = StreamMerger[str, Event | CallStep]()

    async def run(self) -> AsyncGenerator[Step]:
        """Yields every step, up to the answer or Failed."""
        self._merger.add(MODEL_KEY, self._interactive_turn.events)
        async with aclosing(self._merger.merge()) as steps:
            async for key, step in steps:
                if self._is_over(key, step):
                    break
                if step is not None and not isinstance(step, ToolResult):
                    yield step
                if isinstance(step, Failed):
                    return
                await self._advance(key, step)
        yield self._answer.build_code_answer(out_of_turns=self._turns.rejection is not None)

    def _is_over(self, key: str, step: Event | CallStep | None) -> bool:
        """Records a step; returns whether the model has ended or must be ended."""
        if step is None:
            return key == MODEL_KEY
        if isinstance(step, ToolStarted | ToolOutputChunk | ToolEnded | ToolResult):
            return False
        self._turns.add_event(step)
        if not self._turns.must_stop:
            self._answer.add_event(step)
        return self._turns.must_stop

    async def _advance(self, key: str, step: Event | CallStep | None) -> None:
        """Does what follows from a step: sends results, and starts the calls that are ready."""
        if step is None:
            self._calls.finish(key)
        elif isinstance(step, ToolResult):
            await self._send_results(self._calls.add_result(step))
        elif isinstance(step, ToolCallPending):
            self._calls.add(step)
        for call in self._calls.take_ready():
            self._merger.add(call.id, run_call(self._environment, call, self._caller, self._turns.rejection))

    async def _send_results(self, results: list[tuple[ToolCallPending, ToolResult]]) -> None:
        for call, result in results:
            used = ToolUsed(call.name, summarize_arguments(call.arguments), result.is_error)
            self._answer.tools_used.append(used)
            await self._interactive_turn.send_tool_result(result)


class TurnCounter:
    """Counts the model's turns with calls. Mutable: the count."""

    def __init__(self, max_turns: int) -> None:
        self._max_turns = max_turns
        self._count = 0
        self._called = False

    def add_event(self, event: Event) -> None:
        """Counts an event; calls that come before the first of them is pending belong to one turn."""
        if isinstance(event, ToolCall) and (self._called or not self._count):
            self._count, self._called = self._count + 1, False
        self._called = self._called or isinstance(event, ToolCallPending)

    @property
    def rejection(self) -> InvalidToolCall | None:
        """The result of a call beyond the limit."""
        return InvalidToolCall(TURN_LIMIT_MESSAGE) if self._count > self._max_turns else None

    @property
    def must_stop(self) -> bool:
        """Whether the model called again after a rejection."""
        return self._count > self._max_turns + 1


async def run_call(
    environment: AgentEnvironment, call: ToolCallPending, caller: Caller, rejection: InvalidToolCall | None
) -> AsyncGenerator[CallStep]:
    """Yields the steps of a call, and its result last."""
    yield ToolStarted(call.id, call.name, summarize_arguments(call.arguments))
    timeout = environment.status.command_timeout
    job = rejection or build_job(call.name, call.arguments, environment.tool_names, timeout)
    output: list[CommandOutput] = []
    outcome: CallOutcome = Failed(ErrorKind.EXECUTOR_LOST)
    if isinstance(job, InvalidToolCall):
        outcome = job
    else:
        async with aclosing(_run_job(environment, call.id, job, caller, output)) as steps:
            async for step in steps:
                if isinstance(step, ToolOutputChunk):
                    yield step
                else:
                    outcome = step
    result = build_tool_result(call.id, outcome, output, environment.status)
    texts = [block.text for block in result.content if isinstance(block, Text)]
    yield ToolEnded(call.id, call.name, result.is_error, "\n".join(texts))
    yield result


async def _run_job(
    environment: AgentEnvironment, call_id: str, job: ToolJob, caller: Caller, output: list[CommandOutput]
) -> AsyncGenerator[ToolOutputChunk | JobResult | Failed]:
    """Yields the output of a job as text, and its outcome last. output: collects the output as bytes."""
    decoder = OutputDecoder()
    async with aclosing(environment.tool_client.run(job, structs.replace(caller, is_nested=True))) as messages:
        async for message in messages:
            if not isinstance(message, CommandOutput):
                yield message.result if isinstance(message, JobDone) else message
                continue
            output.append(message)
            for stream, text in decoder.decode(message):
                yield ToolOutputChunk(call_id, stream, text)
