"""The CLI's lines as the events of one answer: a state machine, without I/O.

Invariants: an answer ends where the model ended it, whatever the CLI does next. Words of the CLI's own (its errors are phrased
as an assistant's) are never part of it. Nothing follows Done or Failed.

An answer may take several rounds, each one message of the model: after the results of a held turn's calls, when a
structured answer does not meet its schema, when a call that was demanded is missing. Their tokens add up.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from executor.claude.cli.protocol import ApiRetry, CliError, InvalidLine, Line, RateLimitEvent, ResultLine, StreamEvent
from executor.claude.output.call_rules import CallRules
from executor.claude.output.failure import build_cut_failure, build_failure, build_retry_failure, is_thinking_error
from executor.claude.output.recorder import RecordedCall, Recorder
from executor.claude.output.service_events import ServiceBlock, ServiceDelta, ServiceEvent, merge_usage, to_stop_reason
from executor.claude.output.structured import StructuredOutput
from executor.claude.output.text import OutputText
from executor.claude.request.body import ModelRequest
from shared.errors import ErrorKind
from shared.events import (
    Done,
    Event,
    Failed,
    RefusedOutput,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
    Usage,
    UsageWindows,
)

# What a client has seen can't be taken back.
VISIBLE_EVENT = TextDelta | ThinkingDelta | ThinkingSignature | ThinkingRedacted | ToolCall
# The longest that the CLI may wait before it asks the service again; after it, the client is told to wait itself.
MAX_CLI_RETRY_DELAY = 5.0
MAX_CALL_REMINDERS = 1
MISSING_CALL = "It called no tool although `tool_choice` demands it."


class OutputParser:
    """Feed it lines; it gives events. Mutable: what was seen so far.

    over: Done or Failed was given. between: a round is over and another is to be asked for. closing: the model has ended
    the answer, and only the CLI's word on what it cost is still awaited. demanded: a call is still to be made.
    drop_thinking: the service does not accept the thinking of the history. cost_usd: of the process, when it said so last.
    """

    def __init__(
        self, request: ModelRequest, clock: Callable[[], float] = time.time, *, has_thinking: bool = False
    ) -> None:
        turn = request.turn
        self.is_finished = False
        self.needs_next_round = False
        self.pending_done: Done | None = None
        self.needs_call = turn.tool_choice in {"any", "tool"}
        self.must_drop_thinking = False
        self.cost_usd: float | None = None
        self.recorder = Recorder()
        self.structured = StructuredOutput(turn.schema) if turn.schema is not None else None
        self._request = request
        self._turn = turn
        self._rules = CallRules(request)
        self._has_thinking = has_thinking
        self._clock = clock
        self._text = OutputText(turn.stop, is_buffering=turn.schema is not None or bool(request.call_instruction))
        self._earlier_usage = Usage()
        self._round_usage = Usage()
        self._started = False
        self._answer_started = False
        self._block_type = ""
        self._refusal_text = ""
        self._reminder_count = 0
        self._last_retry: ApiRetry | None = None
        self._cli_error: CliError | None = None
        self._windows: UsageWindows | None = None

    @property
    def caller_calls(self) -> list[RecordedCall]:
        """The calls of this round that the caller has."""
        return [call for call in self.recorder.calls if call.status == "given"]

    @property
    def cli_continues(self) -> bool:
        """Whether the CLI asks the service once more by itself, because the message has neither words nor calls."""
        return not self.recorder.calls and not self.recorder.has_visible_text

    def feed(self, line: Line) -> list[Event]:
        """The events that `line` brings; the last of an answer is Done or Failed."""
        return [] if self.is_finished else self._record_events(self._handle_line(line))

    def end(self) -> list[Event]:
        """The CLI closed its output."""
        return [] if self.is_finished else self._record_events([self.pending_done or Failed(ErrorKind.CLI_FAILED)])

    def start_next_round(self) -> None:
        """Another message of the model is asked for."""
        self._earlier_usage = self._sum_usage()
        self._round_usage = Usage()
        self._answer_started = self.needs_next_round = self.must_drop_thinking = False
        self.recorder, self._block_type = Recorder(), ""
        self._text.start_next_round()
        self._cli_error = self._last_retry = None

    def _record_events(self, events: list[Event]) -> list[Event]:
        self.is_finished = any(isinstance(event, Done | Failed) for event in events)
        self._answer_started = self._answer_started or any(isinstance(event, VISIBLE_EVENT) for event in events)
        return events

    def _handle_line(self, line: Line) -> list[Event]:
        waiting = self.pending_done is not None or self.needs_next_round
        match line:
            case StreamEvent(event) if not waiting:
                return self._handle_service_event(event)
            case RateLimitEvent(windows):
                self._windows = windows
                return [windows]
            case CliError() if not waiting:
                self._cli_error = line
            case ApiRetry(delay=delay) if not waiting:
                self._last_retry = line
                return [build_retry_failure(line)] if delay > MAX_CLI_RETRY_DELAY else []
            case ResultLine():
                return self._handle_result(line)
            case InvalidLine():
                return [self.pending_done or Failed(ErrorKind.CLI_FAILED)]
            case _:
                pass
        return []

    def _handle_service_event(self, event: ServiceEvent) -> list[Event]:
        match event.type:
            case "message_start":
                if self._answer_started:
                    # The connection was lost and the CLI asks again; what was already given out can't be taken back.
                    return [build_cut_failure(self._last_retry)]
                self.recorder, self._block_type = Recorder(), ""
                self._round_usage = merge_usage(Usage(), event.message.usage)
                first, self._started = not self._started, True
                return [Started(event.message.model, self._round_usage)] if first else []
            case "content_block_start":
                return self._open_block(event.content_block)
            case "content_block_delta":
                return self._continue_block(event.delta)
            case "content_block_stop":
                return self._close_block()
            case "message_delta" if event.delta.stop_reason is not None:
                self._round_usage = merge_usage(self._round_usage, event.usage)
                return self._stop_message(event.delta.stop_reason, event.delta.stop_sequence)
            case _:
                return []

    def _open_block(self, block: ServiceBlock) -> list[Event]:
        self._block_type = block.type
        if block.type != "tool_use":
            self.recorder.open_block(block)
            return [ThinkingRedacted(block.data)] if block.type == "redacted_thinking" else []
        fate = self._rules.decide(block.name, needs_call=self.needs_call, surplus=bool(self.caller_calls))
        self.recorder.open_call(block, fate)
        if fate != "given":
            return []
        return [*self._text.flush(), ToolCall(block.id, self._request.wire.names.to_client(block.name))]

    def _continue_block(self, delta: ServiceDelta) -> list[Event]:
        self.recorder.add_delta(delta)
        match self._block_type, delta.type:
            case "text" | "", "text_delta" if delta.text:
                said, met = self._text.feed(delta.text)
                return [*said] if met is None else [*said, Done("stop_sequence", self._sum_usage(), stop_sequence=met)]
            case "thinking", "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking)]
            case "thinking", "signature_delta" if delta.signature:
                return [ThinkingSignature(delta.signature)]
            case "tool_use", "input_json_delta" if delta.partial_json and self._streams_arguments:
                return [ToolArgumentsDelta(delta.partial_json)]
            case _:
                return []

    @property
    def _streams_arguments(self) -> bool:
        """Whether the arguments of the last call are given out as they come."""
        call = self.recorder.calls[-1]
        return call.status == "given" and self._request.wire.find_form(self._get_client_name(call)).is_plain

    def _get_client_name(self, call: RecordedCall) -> str:
        return self._request.wire.names.to_client(call.name)

    def _close_block(self) -> list[Event]:
        block, self._block_type = self._block_type, ""
        if block != "tool_use" or self.recorder.calls[-1].status != "given":
            return []
        call = self.recorder.calls[-1]
        if self._streams_arguments:
            # A call without arguments is a call with an empty object: clients parse what they get.
            return [] if any(call.pieces) else [ToolArgumentsDelta("{}")]
        return [ToolArgumentsDelta(self._request.wire.find_form(self._get_client_name(call)).to_client(call.arguments))]

    def _stop_message(self, word: str, sequence: str | None) -> list[Event]:
        reason, reported = to_stop_reason(word)
        if self._rules.violation:
            return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, self._rules.violation)]
        if reason == "refusal" and self.structured:
            return [RefusedOutput(self._text.buffered_text), Done(reason, self._sum_usage())]
        if reason in {"end_turn", "tool_use"} and not reported:
            decided = self._end_message()
            if decided is not None:
                return decided
        if reason == "tool_use" and not self.recorder.calls:
            reason = "end_turn"
        done = Done(reason, self._sum_usage(), stop_sequence=sequence, raw_stop_reason=reported)
        events: list[Event] = [*self._text.flush()] if self.caller_calls or self.structured is None else []
        if reason == "max_tokens" or self.cli_continues:
            # The CLI would go on by itself, to have more words: nothing is waited for.
            return [*events, done]
        self.pending_done = done
        return events

    def _end_message(self) -> list[Event] | None:
        """What becomes of a message that the model ended by itself; None where it is the answer."""
        if self.caller_calls:
            self.needs_call = self.needs_call and not self._turn.interactive
            return self._request_next_round(self._text.flush()) if self._turn.interactive else None
        if self.structured:
            return self._end_structured_message()
        if self.needs_call:
            if not self._request.call_instruction or self._reminder_count >= MAX_CALL_REMINDERS:
                return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, MISSING_CALL)]
            self._reminder_count += 1
            return self._request_next_round()
        return self._request_next_round(self._text.flush()) if self.recorder.calls else None

    def _end_structured_message(self) -> list[Event]:
        assert self.structured
        call = next((call for call in reversed(self.recorder.calls) if call.status == "structured"), None)
        self._refusal_text = self._text.buffered_text or self._refusal_text
        if call is not None:
            answer = self.structured.accept(call.arguments)
            if answer is not None:
                self.pending_done = Done("end_turn", self._sum_usage())
                return [TextDelta(answer)]
        elif not self.recorder.calls and self.structured.is_reminder_exhausted():
            self.pending_done = Done("end_turn", self._sum_usage())
            return [RefusedOutput(self._refusal_text)]
        if self.structured.has_exhausted_attempts():
            return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, self.structured.problem)]
        return self._request_next_round()

    def _request_next_round(self, deltas: Sequence[TextDelta] = ()) -> list[Event]:
        self.needs_next_round = True
        return [*deltas]

    def _handle_result(self, result: ResultLine) -> list[Event]:
        self.cost_usd = result.cost_usd
        if self.pending_done:
            return [msgspec.structs.replace(self.pending_done, cost_usd=result.cost_usd)]
        if self.needs_next_round:
            return []
        failed = build_failure(
            result,
            self._cli_error,
            self._windows,
            answer_started=self._answer_started,
            now=self._clock(),
            delay=self._last_retry.delay if self._last_retry else None,
            retried=self._last_retry is not None,
        )
        if self._has_thinking and not self._answer_started and is_thinking_error(failed):
            self._has_thinking = False
            self.needs_next_round = self.must_drop_thinking = True
            return []
        return [failed]

    def _sum_usage(self) -> Usage:
        return Usage(
            *(getattr(self._earlier_usage, name) + getattr(self._round_usage, name) for name in Usage.__struct_fields__)
        )
