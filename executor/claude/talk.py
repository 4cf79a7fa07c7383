"""One conversation with one CLI process: say it all, hear the answer, let go.

Law: what the CLI does after the model's end counts for nothing: the process is killed before the last event is told, so
that it can't go on by itself.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Mapping

import structlog

from executor.claude.answer import Answer
from executor.claude.conversation import (
    Step,
    allowed,
    control,
    initialize,
    mcp_answer,
    not_available,
    set_model,
    steps,
    unforced,
)
from executor.claude.held import Calls, Results, is_call
from executor.claude.process import CliLost, CliProcess
from executor.claude.protocol import (
    Answered,
    Asked,
    Complained,
    Ended,
    Garbage,
    Introduced,
    Introduction,
    Line,
    introduction,
)
from executor.claude.tools import answered, names_of, offer
from shared.errors import ErrorKind
from shared.events import Done, Event
from shared.turn import Turn

SETUP_TIMEOUT = 30.0
LAST_WORD_TIMEOUT = 0.25

type Emit = Callable[[Event], Awaitable[None]]

log = structlog.get_logger()


class TurnRefused(Exception):
    """The CLI would not set the conversation up."""

    def __init__(self, kind: ErrorKind, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class Talk:
    """A turn, ready to be had with any process. bare: the process was started so. results: where those of a held turn come.

    Mutable: the calls of a held turn.
    """

    def __init__(self, turn: Turn, results: Results, *, bare: bool) -> None:
        self._turn = turn
        self._bare = bare
        self._names = names_of(turn)
        self._tools = offer(turn.tools, self._names, bare=bare, held=turn.held)
        self._results = results
        self._calls = Calls(self._names)
        self._forced = turn.held and turn.tool_choice in {"any", "tool"}

    async def say(self, process: CliProcess) -> None:
        """Say everything, the question last. Raises CliLost, TurnRefused."""
        plan = steps(self._turn, self._names, bare=self._bare)
        step = next(plan)
        while step.then != "events":
            await process.write(step.lines)
            step = plan.send(await taken_in(process, step, self._tools))
        await process.write(step.lines)

    async def hear(self, process: CliProcess, emit: Emit) -> None:
        """Tell the events of the answer; the last is Done or Failed. The process is dead then."""
        answer = Answer(self._turn, self._names)
        while not answer.over and not answer.closing:
            for event in await self._next(process, answer):
                await emit(event)
        if answer.closing and not answer.over:
            await self._close(process, answer, answer.closing, emit)

    async def _next(self, process: CliProcess, answer: Answer) -> list[Event]:
        """The events of the next line."""
        try:
            line = await process.read()
        except CliLost as lost:
            if not answer.closing:
                log.error("the CLI failed", reason=str(lost), last_words=last_words(process))
            return answer.end()
        if isinstance(line, Garbage):
            log.error("the CLI wrote something else than its protocol", reason=line.reason)
        elif isinstance(line, Asked) and not answer.closing:
            await self._asked(process, line)
        events = answer.feed(line)
        if self._turn.held:
            self._calls.note(events)
            if answer.between:
                events += await self._wanted(process)
        if answer.over:
            process.kill()
        return events

    async def _asked(self, process: CliProcess, asked: Asked) -> None:
        if self._turn.held and is_call(asked):
            self._calls.ask(asked)
        elif self._turn.held and asked.subtype == "can_use_tool":
            await process.write(allowed(asked.request_id, asked.input))
        else:
            await process.write(reply(asked, self._tools))

    async def _wanted(self, process: CliProcess) -> list[Event]:
        """The calls that wait from now on."""

        async def deliver(line: bytes) -> None:
            # A process that is lost is found out where its next line is read.
            with contextlib.suppress(CliLost):
                await process.write(line)

        wanted, refused = self._calls.due()
        if wanted and self._forced:
            self._forced = False
            await deliver(unforced(self._turn, self._names))
        for line in refused:
            await deliver(line)
        for asked, call in wanted:
            self._results.expect(call.id, asked, deliver)
        return [call for _, call in wanted]

    async def _close(self, process: CliProcess, answer: Answer, done: Done, emit: Emit) -> None:
        """Wait, but not long, for the CLI's word on what the answer cost."""
        try:
            async with asyncio.timeout(LAST_WORD_TIMEOUT):
                if done.stop_reason == "tool_use":
                    # It waits for the tool's result, which the client brings to another process.
                    await process.write(control("enough", {"subtype": "interrupt"}))
                while not answer.over:
                    for event in await self._next(process, answer):
                        await emit(event)
        except (TimeoutError, CliLost):
            process.kill()
            if not answer.over:
                await emit(done)


async def warm(process: CliProcess, model: str) -> None:
    """Wait until a process is up: it has answered something that fixes nothing. Raises CliLost."""
    try:
        await process.write(control("warm", set_model(model)))
        await taken_in(process, Step(b"", "answers", answers=1), {})
    except (CliLost, TurnRefused) as error:
        raise CliLost(f"{error}; it said: {last_words(process) or 'nothing'}") from error


async def introduced(process: CliProcess) -> Introduction:
    """Ask a process for its version and the models of this account. Raises CliLost."""
    try:
        await process.write(control("hello", initialize(())))
        with in_time("it did not answer in time"):
            async with asyncio.timeout(SETUP_TIMEOUT):
                while True:
                    match await process.read():
                        case Answered(request_id="hello", error=None, response=response):
                            return introduction(response)
                        case Garbage(reason):
                            raise CliLost(f"it wrote something else than its protocol: {reason}")
                        case _:
                            pass
    except CliLost as lost:
        raise CliLost(f"{lost}; it said: {last_words(process) or 'nothing'}") from lost


async def taken_in(process: CliProcess, step: Step, tools: Mapping[str, object]) -> str:
    """Read until the CLI has taken `step` in; the model's full id, if it was told. Raises CliLost, TurnRefused."""
    answers = step.answers
    model = ""
    with in_time("the CLI did not answer in time"):
        async with asyncio.timeout(SETUP_TIMEOUT):
            while True:
                line = await process.read()
                refuse(line, step)
                match line:
                    case Answered():
                        answers -= 1
                        if step.then == "answers" and answers == 0:
                            return model
                    case Introduced():
                        model = line.model
                    case Ended() if step.then == "result":
                        return model
                    case Asked():
                        await process.write(reply(line, tools))
                    case _:
                        pass


def refuse(line: Line, step: Step) -> None:
    """Raise what a line says of a step that can't be taken in. Raises CliLost, TurnRefused."""
    match line:
        case Answered(request_id, error, _) if error is not None:
            log.error("the CLI refused a control request", request=request_id, reason=error)
            raise TurnRefused(ErrorKind.MODEL_NOT_FOUND if request_id == "setup-1" else ErrorKind.CLI_FAILED)
        case Introduced(has) if step.needs and step.needs not in has:
            raise TurnRefused(ErrorKind.INVALID_REQUEST, "The schema of the answer can't be compiled.")
        case Ended(is_error=True) | Complained():
            raise TurnRefused(ErrorKind.CLI_FAILED)
        case Garbage(reason):
            raise CliLost(f"it wrote something else than its protocol: {reason}")
        case _:
            pass


def reply(asked: Asked, tools: Mapping[str, object]) -> bytes:
    """The answer to what the CLI asks while a turn is under way; none where it asks for a tool's result, or for leave.

    That question comes while the model still writes its calls, and the client answers it to another process.
    """
    if asked.subtype == "can_use_tool" or (asked.message or {}).get("method") == "tools/call":
        return b""
    if asked.subtype == "mcp_message" and asked.message is not None:
        return mcp_answer(asked.request_id, answered(asked.message, tools))
    return not_available(asked.request_id)


@contextlib.contextmanager
def in_time(reason: str) -> Generator[None]:
    """Call a timeout a lost CLI. Raises CliLost."""
    try:
        yield
    except TimeoutError as error:
        raise CliLost(reason) from error


def last_words(process: CliProcess) -> str:
    """What a process said on stderr, of late."""
    return b" ".join(process.last_words).decode(errors="replace").strip()
