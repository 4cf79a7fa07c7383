"""A model at work with the server's tools: its calls are done as it makes them, until it has said all.

Law: each call gets exactly one result, in the order of the calls; a model that goes on beyond the limit of turns is
ended, and the answer says so; closing ends the model and the command that runs.
"""

from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct, structs

from api.asking import Asking
from api.dispatch import Dispatch
from api.hands import Hands
from api.server_tools.calls import Mistake, job, summary
from api.server_tools.results import tool_result
from api.work.answers import CallBegan, CallEnded, CallWrote, Step, ToolUsed
from api.work.saying import Saying
from shared.errors import ErrorKind
from shared.events import Failed, ToolCall, Wanted
from shared.jobs import JobDone, JobResult, Output, ToolsStatus
from shared.turn import Text, ToolResult, Turn

ENOUGH = "This call was not done: the limit of turns is reached. Say now what you have found, without calling a tool."


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
    turns = 0
    called = False
    async with ground.dispatch.hold(turn, asking) as held:
        async for event in held.events:
            if isinstance(event, ToolCall) and (called or not turns):
                turns, called = turns + 1, False
            if turns > ground.max_turns + 1:
                yield saying.code(out_of_turns=True)
                return
            saying.hear(event)
            yield event
            if isinstance(event, Failed):
                return
            if isinstance(event, Wanted):
                called = True
                over = Mistake(ENOUGH) if turns > ground.max_turns else None
                async with aclosing(call(ground, event, asking, over)) as steps:
                    async for step in steps:
                        if isinstance(step, ToolResult):
                            saying.used.append(ToolUsed(event.name, summary(event.arguments), step.is_error))
                            await held.bring(step)
                        else:
                            yield step
    yield saying.code(out_of_turns=turns > ground.max_turns)


async def call(
    ground: Ground, wanted: Wanted, asking: Asking, over: Mistake | None
) -> AsyncGenerator[CallBegan | CallWrote | CallEnded | ToolResult]:
    """What happens in a call, and its result."""
    yield CallBegan(wanted.id, wanted.name, summary(wanted.arguments))
    asked = over or job(wanted.name, wanted.arguments, ground.offered)
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
