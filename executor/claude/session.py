"""Runs one turn on CLI processes: sends the request, streams the answer, asks for further rounds, ends the process.

Invariants: what the CLI does after the model's end counts for nothing: the process is killed before the last event is given
out, so that it can't go on by itself.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator

import structlog

from executor.claude.cli.control import (
    build_apply_settings,
    build_hide_thinking,
    build_initialize,
    encode_control_request,
    encode_query,
    encode_refusal,
)
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.protocol import (
    CliError,
    ControlRequest,
    ControlResponse,
    Init,
    InitializeResponse,
    InvalidLine,
    Line,
    ResultLine,
    parse_initialize_response,
)
from executor.claude.follow_up import build_follow_up
from executor.claude.output.parser import OutputParser
from executor.claude.output.recorder import RecordedCall
from executor.claude.request.body import ModelRequest, build_settings
from executor.claude.request.messages import has_thinking, strip_thinking
from executor.claude.tool_results import ToolResultRouter
from shared.errors import ErrorKind
from shared.events import Done, Event, ToolCallPending
from shared.turn import ToolResult

SETUP_TIMEOUT = 30.0
RESULT_LINE_TIMEOUT = 0.25

type Emit = Callable[[Event], Awaitable[None]]
type TakeProcess = Callable[[], Awaitable[CliProcess]]

log = structlog.get_logger()


class TurnRefused(Exception):
    """The CLI would not set the request up."""

    def __init__(self, kind: ErrorKind, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class CliSession:
    """Mutable: the conversation so far, the answer in the making, and what earlier processes of the turn cost."""

    def __init__(self, request: ModelRequest, results: ToolResultRouter, take_process: TakeProcess) -> None:
        """start: where another process comes from, if a further round needs one. Raises SchemaInvalid."""
        self._request = request
        self._messages = list(request.messages)
        self._results = results
        self._take_process = take_process
        self._parser = OutputParser(request, has_thinking=has_thinking(request.messages))
        self._earlier_cost = 0.0

    async def send_turn(self, process: CliProcess) -> None:
        """Send all of it to a process that knows nothing yet. Raises CliLost, TurnRefused."""
        begin = encode_control_request("setup-0", build_initialize(self._request.turn.system))
        setup = [begin, encode_control_request("setup-1", self._build_settings_request())]
        if not self._request.turn.include_thinking_text:
            setup.append(encode_control_request("setup-2", build_hide_thinking()))
        await process.write(b"".join(setup))
        await await_acks(process, len(setup))
        await process.write(encode_query())

    async def stream_events(self, process: CliProcess, emit: Emit) -> None:
        """Give the events of the answer out; the last is Done or Failed. The process is dead then. Raises CliLost."""
        while True:
            await self._stream_round(process, emit)
            if self._parser.is_finished:
                return
            process = await self._start_next_round(process, emit)

    def _build_settings_request(self) -> dict[str, object]:
        return build_apply_settings(build_settings(self._request, self._messages, needs_call=self._parser.needs_call))

    async def _stream_round(self, process: CliProcess, emit: Emit) -> None:
        parser = self._parser
        while not (parser.is_finished or parser.needs_next_round or parser.pending_done):
            for event in await self._read_events(process):
                await emit(event)
        if parser.pending_done and not parser.is_finished:
            await self._await_result_line(process, parser.pending_done, emit)

    async def _read_events(self, process: CliProcess) -> list[Event]:
        """The events of the next line."""
        parser = self._parser
        try:
            line = await process.read()
        except CliCrashed as lost:
            if not parser.pending_done:
                log.error("the CLI failed", reason=str(lost), last_words=get_stderr_tail(process))
            return parser.end()
        if isinstance(line, InvalidLine):
            log.error("the CLI wrote something else than its protocol", reason=line.reason)
        elif isinstance(line, ControlRequest) and not parser.pending_done:
            await process.write(encode_refusal(line.request_id))
        elif isinstance(line, Init) and line.tools:
            process.kill()
            raise CliCrashed(f"it offers tools of its own: {', '.join(line.tools)}")
        events = [self._with_total_cost(event) for event in parser.feed(line)]
        if parser.is_finished:
            process.kill()
        return events

    def _with_total_cost(self, event: Event) -> Event:
        if isinstance(event, Done) and event.cost_usd is not None and self._earlier_cost:
            return Done(
                event.stop_reason,
                event.usage,
                event.cost_usd + self._earlier_cost,
                event.stop_sequence,
                event.raw_stop_reason,
            )
        return event

    async def _await_result_line(self, process: CliProcess, done: Done, emit: Emit) -> None:
        """Wait, but not long, for the CLI's word on what the answer cost."""
        try:
            async with asyncio.timeout(RESULT_LINE_TIMEOUT):
                while not self._parser.is_finished:
                    for event in await self._read_events(process):
                        await emit(event)
        except (TimeoutError, CliCrashed):
            process.kill()
            if not self._parser.is_finished:
                await emit(done)

    async def _start_next_round(self, process: CliProcess, emit: Emit) -> CliProcess:
        """Answer the model's message and ask it again; the process that it is asked by. Raises CliLost, TurnRefused."""
        parser = self._parser
        wanted = [call for call in parser.caller_calls if call.has_valid_arguments]
        for call in wanted:
            self._results.expect(call.id)
        for call in wanted:
            await emit(self._build_pending_call(call))
        again = parser.must_drop_thinking
        if parser.cli_continues and not again:
            process.kill()
        elif not again:
            await self._await_round_end(process, emit)
        results: dict[str, ToolResult] = {call.id: await self._results.wait(call.id) for call in wanted}
        if again:
            self._messages = strip_thinking(self._messages)
        else:
            self._messages += build_follow_up(parser, results, self._request.wire)
        budget = self._request.turn.max_budget_usd
        if budget is not None and self._earlier_cost + (parser.cost_usd or 0.0) >= budget:
            raise TurnRefused(ErrorKind.BUDGET)
        fresh = parser.cli_continues and not again
        parser.start_next_round()
        return await self._send_round(process, new_process=fresh)

    def _build_pending_call(self, call: RecordedCall) -> ToolCallPending:
        name = self._request.wire.names.to_client(call.name)
        return ToolCallPending(call.id, name, self._request.wire.find_form(name).to_client(call.arguments))

    async def _send_round(self, process: CliProcess, *, new_process: bool) -> CliProcess:
        if new_process:
            self._earlier_cost += self._parser.cost_usd or 0.0
            process = await self._take_process()
            await self.send_turn(process)
        else:
            await process.write(encode_control_request("round", self._build_settings_request()))
            await await_acks(process, 1)
            await process.write(encode_query())
        return process

    async def _await_round_end(self, process: CliProcess, emit: Emit) -> None:
        """Read until the CLI is through with the round. Raises CliLost."""
        with translate_timeout("the CLI did not end its round in time"):
            async with asyncio.timeout(SETUP_TIMEOUT):
                while True:
                    line = await process.read()
                    for event in self._parser.feed(line):
                        await emit(event)
                    if isinstance(line, ResultLine):
                        return
                    if isinstance(line, InvalidLine):
                        raise CliCrashed(f"it wrote something else than its protocol: {line.reason}")


async def warm_up(process: CliProcess, model: str) -> None:
    """Wait until a process is up: it has answered something that fixes nothing. Raises CliLost."""
    try:
        await process.write(encode_control_request("warm", build_apply_settings({"model": model})))
        await await_acks(process, 1)
    except (CliCrashed, TurnRefused) as error:
        raise CliCrashed(f"{error}; it said: {get_stderr_tail(process) or 'nothing'}") from error


async def fetch_cli_info(process: CliProcess) -> InitializeResponse:
    """Ask a process for its version and the models of this account. Raises CliLost."""
    try:
        await process.write(encode_control_request("hello", build_initialize(())))
        with translate_timeout("it did not answer in time"):
            async with asyncio.timeout(SETUP_TIMEOUT):
                while True:
                    match await process.read():
                        case ControlResponse(request_id="hello", error=None, response=response):
                            return parse_initialize_response(response)
                        case InvalidLine(reason):
                            raise CliCrashed(f"it wrote something else than its protocol: {reason}")
                        case _:
                            pass
    except CliCrashed as lost:
        raise CliCrashed(f"{lost}; it said: {get_stderr_tail(process) or 'nothing'}") from lost


async def await_acks(process: CliProcess, count: int) -> None:
    """Read until the CLI has answered so many control requests. Raises CliLost, TurnRefused."""
    with translate_timeout("the CLI did not answer in time"):
        async with asyncio.timeout(SETUP_TIMEOUT):
            while count:
                line = await process.read()
                raise_refusal(line)
                match line:
                    case ControlResponse():
                        count -= 1
                    case ControlRequest():
                        await process.write(encode_refusal(line.request_id))
                    case _:
                        pass


def raise_refusal(line: Line) -> None:
    """Raise what a line says of a control request that was not carried out. Raises CliLost, TurnRefused."""
    match line:
        case ControlResponse(request_id, error, _) if error is not None:
            log.error("the CLI refused a control request", request=request_id, reason=error)
            raise TurnRefused(ErrorKind.MODEL_NOT_FOUND if request_id == "setup-1" else ErrorKind.CLI_FAILED)
        case ResultLine(is_error=True) | CliError():
            raise TurnRefused(ErrorKind.CLI_FAILED)
        case InvalidLine(reason):
            raise CliCrashed(f"it wrote something else than its protocol: {reason}")
        case _:
            pass


@contextlib.contextmanager
def translate_timeout(reason: str) -> Generator[None]:
    """Call a timeout a lost CLI. Raises CliLost."""
    try:
        yield
    except TimeoutError as error:
        raise CliCrashed(reason) from error


def get_stderr_tail(process: CliProcess) -> str:
    """What a process said on stderr, of late."""
    return b" ".join(process.stderr_tail).decode(errors="replace").strip()
