"""Runs one turn on CLI processes: sends the request, streams the answer, starts further rounds, ends the process.

Invariants: whatever the CLI does after the model ended the answer has no effect: the process is killed before the last event
is given out, so that it can't continue by itself. It is kept only if the CLI has ended the query of a complete answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import structs

from executor.claude.cli.control import (
    build_apply_settings,
    build_hide_thinking,
    build_initialize,
    encode_control_request,
    encode_query,
    encode_refusal,
)
from executor.claude.cli.handshake import TurnRefused, await_acks, build_protocol_error, limit_time
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.protocol import ControlRequest, Init, InvalidLine, ResultLine
from executor.claude.follow_up import build_follow_up
from executor.claude.held.answer import AnswerRecorder
from executor.claude.output.parser import OutputParser
from executor.claude.output.recorder import RecordedCall
from executor.claude.request.body import ModelRequest, build_settings
from executor.claude.request.messages import has_thinking, strip_thinking
from executor.claude.tool_results import ToolResultRouter
from shared.errors import ErrorKind
from shared.events import Done, Event, ToolCallPending
from shared.turn import Block

# How long the result line with the cost may take after the model ended the answer.
RESULT_LINE_TIMEOUT = 1.0
# The answer is what the model meant to say, and the client may continue it.
COMPLETE_REASONS = {"end_turn", "tool_use"}

type Emit = Callable[[Event], Awaitable[None]]
type TakeProcess = Callable[[], Awaitable[CliProcess]]
# Takes the process, its cost so far and the answer over. Returns the handles under which it is held; none if it is not.
type KeepProcess = Callable[[CliProcess, float, tuple[Block, ...]], tuple[str, ...]]

log = structlog.get_logger()


class CliSession:
    """One turn. Mutable: the conversation so far, the parser of the answer, and the costs.

    The CLI reports the cost of its whole life. `_cost_before` is that of the current process before this turn;
    `_earlier_cost` is what this turn cost in processes that were replaced.
    """

    def __init__(
        self,
        request: ModelRequest,
        results: ToolResultRouter,
        take_process: TakeProcess,
        keep_process: KeepProcess | None = None,
    ) -> None:
        """take_process: returns another process, if a further round needs one. keep_process: None to keep none.

        Raises InvalidSchema.
        """
        self._request = request
        self._messages = list(request.messages)
        self._results = results
        self._take_process = take_process
        self._keep_process = keep_process
        self._answer = AnswerRecorder()
        self._parser = OutputParser(request, has_thinking=has_thinking(request.messages))
        self._earlier_cost = 0.0
        self._cost_before = 0.0

    async def continue_turn(self, process: CliProcess, cost_so_far: float) -> None:
        """Sends the turn to a process that holds the conversation before it. Raises CliCrashed, TurnRefused."""
        await self._continue_with(process)
        self._cost_before = cost_so_far

    async def send_turn(self, process: CliProcess) -> None:
        """Sends the whole turn to a new process. Raises CliCrashed, TurnRefused."""
        setup = [
            encode_control_request("setup-0", build_initialize(self._request.turn.system)),
            encode_control_request("setup-1", self._build_settings_request()),
        ]
        if not self._request.turn.include_thinking_text:
            setup.append(encode_control_request("setup-2", build_hide_thinking()))
        await process.write(b"".join(setup))
        await await_acks(process, len(setup))
        await process.write(encode_query())

    async def stream_events(self, process: CliProcess, emit: Emit) -> None:
        """Emits the events of the answer; the last is Done or Failed, and the process is dead by then.

        Raises CliCrashed, TurnRefused.
        """
        while True:
            await self._stream_round(process, emit)
            if self._parser.is_finished:
                return
            process = await self._start_next_round(process, emit)

    def _build_settings_request(self) -> dict[str, object]:
        needs_call = self._parser.end_rules.needs_call
        return build_apply_settings(build_settings(self._request, self._messages, needs_call=needs_call))

    async def _stream_round(self, process: CliProcess, emit: Emit) -> None:
        parser = self._parser
        while not (parser.is_finished or parser.needs_next_round or parser.pending_done):
            await self._stream_line(process, emit)
        if parser.pending_done and not parser.is_finished:
            await self._await_result_line(process, parser.pending_done, emit)

    async def _stream_line(self, process: CliProcess, emit: Emit) -> None:
        for event in await self._read_events(process):
            await emit(event)

    async def _read_events(self, process: CliProcess) -> list[Event]:
        """Returns the events of the next line. Raises CliCrashed."""
        parser = self._parser
        try:
            line = await process.read()
        except CliCrashed as error:
            if not parser.pending_done:
                log.error("the CLI failed", reason=str(error), stderr=process.stderr_text)
            return parser.end()
        if isinstance(line, InvalidLine):
            log.error("the CLI wrote a line outside of its protocol", reason=line.reason)
        elif isinstance(line, ControlRequest) and not parser.pending_done:
            await process.write(encode_refusal(line.request_id))
        elif isinstance(line, Init) and line.tools:
            process.kill()
            raise CliCrashed(f"it offers its own tools to the model: {', '.join(line.tools)}")
        events = parser.feed(line)
        if self._keep_process:
            for event in events:
                self._answer.record(event)
        if not parser.is_finished:
            return events
        *events, last = events
        if isinstance(last, Done):
            last = self._finish(process, last, is_idle=isinstance(line, ResultLine))
        else:
            process.kill()
        return [*events, last]

    def _finish(self, process: CliProcess, done: Done, *, is_idle: bool) -> Done:
        """Keeps or kills the process of a complete answer. is_idle: the CLI has ended the query, and waits for another."""
        handles: tuple[str, ...] = ()
        is_complete = done.stop_reason in COMPLETE_REASONS and not (done.raw_stop_reason or self._answer.is_refusal)
        if self._keep_process and is_idle and is_complete and done.cost_usd is not None:
            handles = self._keep_process(process, done.cost_usd, self._answer.build_content())
        if not handles:
            process.kill()
        cost = None if done.cost_usd is None else self._compute_turn_cost(done.cost_usd)
        return structs.replace(done, cost_usd=cost, held=handles)

    def _compute_turn_cost(self, process_cost: float | None) -> float:
        """Returns the cost of this turn. process_cost: of the current process, as last reported; None if it was not."""
        return self._earlier_cost + (0.0 if process_cost is None else max(0.0, process_cost - self._cost_before))

    async def _await_result_line(self, process: CliProcess, done: Done, emit: Emit) -> None:
        """Waits for the result line, which has the cost; without it the answer ends without the cost."""
        events: list[Event] = []
        try:
            async with asyncio.timeout(RESULT_LINE_TIMEOUT):
                while not self._parser.is_finished:
                    events += await self._read_events(process)
        except (TimeoutError, CliCrashed):
            process.kill()
            events.append(done)
        # Not within the time limit: a process that is kept by now may already answer another request.
        for event in events:
            await emit(event)

    async def _start_next_round(self, process: CliProcess, emit: Emit) -> CliProcess:
        """Answers the model's message and asks the model again. Returns the process of the round.

        Raises CliCrashed, TurnRefused.
        """
        parser = self._parser
        if parser.must_drop_thinking:
            self._messages = strip_thinking(self._messages)
            needs_process = False
        else:
            # The CLI would ask the service again by itself, with a conversation of its own.
            needs_process = parser.message.is_empty
            await self._append_follow_up(process, emit)
        budget = self._request.turn.max_budget_usd
        if budget is not None and self._compute_turn_cost(parser.cost_usd) >= budget:
            raise TurnRefused(ErrorKind.BUDGET)
        parser.start_next_round()
        return await self._replace_process() if needs_process else await self._continue_with(process)

    async def _append_follow_up(self, process: CliProcess, emit: Emit) -> None:
        """Adds the model's message and its answer to the conversation, once the results of its calls are known."""
        parser = self._parser
        pending = [call for call in parser.message.recorder.caller_calls if call.has_valid_arguments]
        for call in pending:
            self._results.expect(call.id)
        for call in pending:
            await emit(self._build_pending_call(call))
        if parser.message.is_empty:
            process.kill()
        else:
            await self._await_round_end(process, emit)
        results = {call.id: await self._results.wait(call.id) for call in pending}
        self._messages += build_follow_up(parser, results, self._request.wire)

    def _build_pending_call(self, call: RecordedCall) -> ToolCallPending:
        name = self._request.wire.names.to_client(call.name)
        return ToolCallPending(call.id, name, self._request.wire.find_form(name).to_client(call.arguments))

    async def _replace_process(self) -> CliProcess:
        """Sends the round to another process. Raises CliCrashed, TurnRefused."""
        self._earlier_cost = self._compute_turn_cost(self._parser.cost_usd)
        self._cost_before, self._parser.cost_usd = 0.0, None
        process = await self._take_process()
        await self.send_turn(process)
        return process

    async def _continue_with(self, process: CliProcess) -> CliProcess:
        """Sends the round to the same process. Raises CliCrashed, TurnRefused."""
        await process.write(encode_control_request("round", self._build_settings_request()))
        await await_acks(process, 1)
        await process.write(encode_query())
        return process

    async def _await_round_end(self, process: CliProcess, emit: Emit) -> None:
        """Reads until the CLI has ended the round. Raises CliCrashed."""
        async with limit_time("the CLI did not end its round in time"):
            while True:
                line = await process.read()
                for event in self._parser.feed(line):
                    await emit(event)
                if isinstance(line, ResultLine):
                    return
                if isinstance(line, InvalidLine):
                    raise build_protocol_error(line)
