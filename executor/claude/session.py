"""Runs one turn on CLI processes: sends the request, streams the answer, asks for further rounds, ends the process.

Invariants: what the CLI does after the model's end counts for nothing: the process is killed before the last event is given
out, so that it can't go on by itself.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator

import structlog

from executor.claude.cli.control import apply_settings, control, hide_thinking, initialize, query, refuse_request
from executor.claude.cli.process import CliLost, CliProcess
from executor.claude.cli.protocol import (
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
from executor.claude.follow_up import build_follow_up
from executor.claude.output.parser import OutputParser
from executor.claude.output.recorder import Call
from executor.claude.request.body import Request, build_settings
from executor.claude.request.messages import has_thinking, without_thinking
from executor.claude.tool_results import ToolResults
from shared.errors import ErrorKind
from shared.events import Done, Event, Wanted
from shared.turn import ToolResult

SETUP_TIMEOUT = 30.0
LAST_WORD_TIMEOUT = 0.25

type Emit = Callable[[Event], Awaitable[None]]
type Start = Callable[[], Awaitable[CliProcess]]

log = structlog.get_logger()


class TurnRefused(Exception):
    """The CLI would not set the request up."""

    def __init__(self, kind: ErrorKind, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class CliSession:
    """Mutable: the conversation so far, the answer in the making, and what earlier processes of the turn cost."""

    def __init__(self, request: Request, results: ToolResults, start: Start) -> None:
        """start: where another process comes from, if a further round needs one. Raises SchemaInvalid."""
        self._request = request
        self._messages = list(request.messages)
        self._results = results
        self._start = start
        self._parser = OutputParser(request, has_thinking=has_thinking(request.messages))
        self._spent = 0.0

    async def send_turn(self, process: CliProcess) -> None:
        """Send all of it to a process that knows nothing yet. Raises CliLost, TurnRefused."""
        begin = control("setup-0", initialize(self._request.turn.system))
        setup = [begin, control("setup-1", self._settings())]
        if not self._request.turn.thinking_words:
            setup.append(control("setup-2", hide_thinking()))
        await process.write(b"".join(setup))
        await await_acks(process, len(setup))
        await process.write(query())

    async def stream_events(self, process: CliProcess, emit: Emit) -> None:
        """Give the events of the answer out; the last is Done or Failed. The process is dead then. Raises CliLost."""
        while True:
            await self._stream_round(process, emit)
            if self._parser.over:
                return
            process = await self._next_round(process, emit)

    def _settings(self) -> dict[str, object]:
        return apply_settings(build_settings(self._request, self._messages, demanded=self._parser.demanded))

    async def _stream_round(self, process: CliProcess, emit: Emit) -> None:
        parser = self._parser
        while not (parser.over or parser.between or parser.closing):
            for event in await self._read_events(process):
                await emit(event)
        if parser.closing and not parser.over:
            await self._await_last_word(process, parser.closing, emit)

    async def _read_events(self, process: CliProcess) -> list[Event]:
        """The events of the next line."""
        parser = self._parser
        try:
            line = await process.read()
        except CliLost as lost:
            if not parser.closing:
                log.error("the CLI failed", reason=str(lost), last_words=last_words(process))
            return parser.end()
        if isinstance(line, Garbage):
            log.error("the CLI wrote something else than its protocol", reason=line.reason)
        elif isinstance(line, Asked) and not parser.closing:
            await process.write(refuse_request(line.request_id))
        elif isinstance(line, Introduced) and line.tools:
            process.kill()
            raise CliLost(f"it offers tools of its own: {', '.join(line.tools)}")
        events = [self._with_total_cost(event) for event in parser.feed(line)]
        if parser.over:
            process.kill()
        return events

    def _with_total_cost(self, event: Event) -> Event:
        if isinstance(event, Done) and event.cost_usd is not None and self._spent:
            return Done(
                event.stop_reason, event.usage, event.cost_usd + self._spent, event.stop_sequence, event.reported
            )
        return event

    async def _await_last_word(self, process: CliProcess, done: Done, emit: Emit) -> None:
        """Wait, but not long, for the CLI's word on what the answer cost."""
        try:
            async with asyncio.timeout(LAST_WORD_TIMEOUT):
                while not self._parser.over:
                    for event in await self._read_events(process):
                        await emit(event)
        except (TimeoutError, CliLost):
            process.kill()
            if not self._parser.over:
                await emit(done)

    async def _next_round(self, process: CliProcess, emit: Emit) -> CliProcess:
        """Answer the model's message and ask it again; the process that it is asked by. Raises CliLost, TurnRefused."""
        parser = self._parser
        wanted = [call for call in parser.given if call.readable]
        for call in wanted:
            self._results.expect(call.id)
        for call in wanted:
            await emit(self._pending(call))
        again = parser.drop_thinking
        if parser.cli_goes_on and not again:
            process.kill()
        elif not again:
            await self._await_result(process, emit)
        results: dict[str, ToolResult] = {call.id: await self._results.wait(call.id) for call in wanted}
        if again:
            self._messages = without_thinking(self._messages)
        else:
            self._messages += build_follow_up(parser, results, self._request.wire)
        budget = self._request.turn.max_budget_usd
        if budget is not None and self._spent + (parser.cost_usd or 0.0) >= budget:
            raise TurnRefused(ErrorKind.BUDGET)
        fresh = parser.cli_goes_on and not again
        parser.next_round()
        return await self._ask_again(process, fresh=fresh)

    def _pending(self, call: Call) -> Wanted:
        name = self._request.wire.names.to_client(call.name)
        return Wanted(call.id, name, self._request.wire.form(name).to_client(call.arguments))

    async def _ask_again(self, process: CliProcess, *, fresh: bool) -> CliProcess:
        if fresh:
            self._spent += self._parser.cost_usd or 0.0
            process = await self._start()
            await self.send_turn(process)
        else:
            await process.write(control("round", self._settings()))
            await await_acks(process, 1)
            await process.write(query())
        return process

    async def _await_result(self, process: CliProcess, emit: Emit) -> None:
        """Read until the CLI is through with the round. Raises CliLost."""
        with translate_timeout("the CLI did not end its round in time"):
            async with asyncio.timeout(SETUP_TIMEOUT):
                while True:
                    line = await process.read()
                    for event in self._parser.feed(line):
                        await emit(event)
                    if isinstance(line, Ended):
                        return
                    if isinstance(line, Garbage):
                        raise CliLost(f"it wrote something else than its protocol: {line.reason}")


async def warm(process: CliProcess, model: str) -> None:
    """Wait until a process is up: it has answered something that fixes nothing. Raises CliLost."""
    try:
        await process.write(control("warm", apply_settings({"model": model})))
        await await_acks(process, 1)
    except (CliLost, TurnRefused) as error:
        raise CliLost(f"{error}; it said: {last_words(process) or 'nothing'}") from error


async def introduced(process: CliProcess) -> Introduction:
    """Ask a process for its version and the models of this account. Raises CliLost."""
    try:
        await process.write(control("hello", initialize(())))
        with translate_timeout("it did not answer in time"):
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


async def await_acks(process: CliProcess, count: int) -> None:
    """Read until the CLI has answered so many control requests. Raises CliLost, TurnRefused."""
    with translate_timeout("the CLI did not answer in time"):
        async with asyncio.timeout(SETUP_TIMEOUT):
            while count:
                line = await process.read()
                raise_refusal(line)
                match line:
                    case Answered():
                        count -= 1
                    case Asked():
                        await process.write(refuse_request(line.request_id))
                    case _:
                        pass


def raise_refusal(line: Line) -> None:
    """Raise what a line says of a control request that was not carried out. Raises CliLost, TurnRefused."""
    match line:
        case Answered(request_id, error, _) if error is not None:
            log.error("the CLI refused a control request", request=request_id, reason=error)
            raise TurnRefused(ErrorKind.MODEL_NOT_FOUND if request_id == "setup-1" else ErrorKind.CLI_FAILED)
        case Ended(is_error=True) | Complained():
            raise TurnRefused(ErrorKind.CLI_FAILED)
        case Garbage(reason):
            raise CliLost(f"it wrote something else than its protocol: {reason}")
        case _:
            pass


@contextlib.contextmanager
def translate_timeout(reason: str) -> Generator[None]:
    """Call a timeout a lost CLI. Raises CliLost."""
    try:
        yield
    except TimeoutError as error:
        raise CliLost(reason) from error


def last_words(process: CliProcess) -> str:
    """What a process said on stderr, of late."""
    return b" ".join(process.last_words).decode(errors="replace").strip()
