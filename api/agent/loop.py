"""A model at work with the server's tools: its calls are done as it makes them, until it has said all.

Law: each call gets exactly one result, in the order of the calls; calls that only read are done at the same time, one that may
change something is done alone. A model that goes on beyond the limit of turns is ended, and the answer says so; closing
ends the model and the commands that run.
"""

from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct, structs

from api.agent.answer_builder import Saying
from api.agent.answers import CallBegan, CallEnded, CallWrote, Step, ToolUsed
from api.agent.call_queue import Calls
from api.agent.tool_calls import Mistake, job, summary
from api.agent.tool_results import tool_result
from api.core.caller import Asking
from api.executors.stream_merger import Together
from api.executors.tool_client import Hands
from api.executors.turn_client import Dispatch, Held
from shared.errors import ErrorKind
from shared.events import Event, Failed, ToolCall, Wanted
from shared.tool_jobs import JobDone, JobResult, Output, ToolsStatus
from shared.turn import Text, ToolResult, Turn

ENOUGH = "This call was not done: the limit of turns is reached. Say now what you have found, without calling a tool."

# The key of the model's events, beside the ids of its calls.
MODEL = ""

type CallStep = CallBegan | CallWrote | CallEnded | ToolResult


class Ground(Struct, frozen=True):
    """Where a model works. offered: the names of its tools."""

    dispatch: Dispatch
    hands: Hands
    status: ToolsStatus
    offered: tuple[str, ...]
    max_turns: int


async def work(ground: Ground, turn: Turn, asking: Asking) -> AsyncGenerator[Step]:
    """All that happens, to the answer or to Failed."""
    saying = Saying(turn.model)
    turns = Turns(ground.max_turns)
    calls = Calls(ground.status)
    together = Together[str, Event | CallStep]()
    async with ground.dispatch.hold(turn, asking) as held, aclosing(together.steps()) as steps:
        together.join(MODEL, held.events)
        async for key, step in steps:
            if isinstance(step, ToolResult):
                await _bring(held, saying, calls.brought(step))
            elif isinstance(step, CallBegan | CallWrote | CallEnded):
                yield step
            elif step is not None:
                turns.see(step)
                if turns.gone:
                    break
                saying.hear(step)
                yield step
            elif key == MODEL:
                break
            else:
                calls.ended(key)
            if isinstance(step, Failed):
                return
            if isinstance(step, Wanted):
                calls.want(step)
            for wanted in calls.due():
                together.join(wanted.id, call(ground, wanted, asking, turns.over))
    yield saying.code(out_of_turns=turns.over is not None)


async def _bring(held: Held, saying: Saying, brought: list[tuple[Wanted, ToolResult]]) -> None:
    for wanted, result in brought:
        saying.used.append(ToolUsed(wanted.name, summary(wanted.arguments), result.is_error))
        await held.bring(result)


class Turns:
    """How often the model called. Mutable: the count. over: what a call is told that is one too many.

    gone: it calls all the same.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._called = False

    def see(self, event: Event) -> None:
        """Take in what happened: calls that come before the first is wanted belong to one message."""
        if isinstance(event, ToolCall) and (self._called or not self._count):
            self._count, self._called = self._count + 1, False
        self._called = self._called or isinstance(event, Wanted)

    @property
    def over(self) -> Mistake | None:
        return Mistake(ENOUGH) if self._count > self._most else None

    @property
    def gone(self) -> bool:
        return self._count > self._most + 1


async def call(ground: Ground, wanted: Wanted, asking: Asking, over: Mistake | None) -> AsyncGenerator[CallStep]:
    """What happens in a call, and its result."""
    yield CallBegan(wanted.id, wanted.name, summary(wanted.arguments))
    asked = over or job(wanted.name, wanted.arguments, ground.offered, ground.status.command_timeout)
    output: list[Output] = []
    came: JobResult | Failed | Mistake = Failed(ErrorKind.EXECUTOR_LOST)
    if isinstance(asked, Mistake):
        came = asked
    else:
        words = {stream: getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")}
        async with aclosing(ground.hands.do(asked, structs.replace(asking, within=True))) as messages:
            async for said in messages:
                match said:
                    case Output(stream, data):
                        output.append(said)
                        if text := words[stream].decode(data):
                            yield CallWrote(wanted.id, stream, text)
                    case JobDone(result):
                        came = result
                    case Failed():
                        came = said
    result = tool_result(wanted.id, came, output, ground.status)
    texts = [block.text for block in result.content if isinstance(block, Text)]
    yield CallEnded(wanted.id, wanted.name, result.is_error, "\n".join(texts))
    yield result
