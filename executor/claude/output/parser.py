"""Parses the CLI's lines into the events of one answer: a state machine, without I/O.

Invariants: an answer ends where the model ended it, whatever the CLI does next. Text of the CLI itself (it phrases its errors
as an assistant's message) is never part of the answer. No event follows Done or Failed.

An answer may take several rounds, each one message of the model: after the results of an interactive turn's calls, when a
structured answer violates its schema, when a demanded call is missing. The tokens of the rounds add up.
"""

import time
from collections.abc import Callable

from msgspec import structs

from executor.claude.cli.protocol import ApiRetry, CliError, InvalidLine, Line, RateLimitEvent, ResultLine, StreamEvent
from executor.claude.output.message import VISIBLE_EVENT, MessageParser
from executor.claude.output.message_end import MessageEndRules
from executor.claude.output.service_events import ServiceEvent, to_stop_reason
from executor.claude.output.upstream_errors import UpstreamErrors
from executor.claude.output.usage import UsageCounter
from executor.claude.request.body import ModelRequest
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, Started, StopReason


class OutputParser:
    """Takes lines and returns events. Mutable: the progress of the answer.

    is_finished: Done or Failed was returned. needs_next_round: a round is over and the model needs another request.
    pending_done: the model has ended the answer; only the result line with the cost is missing. must_drop_thinking: the
    service rejects the thinking in the history. cost_usd: cost of the process, as it last reported it.
    """

    def __init__(
        self, request: ModelRequest, clock: Callable[[], float] = time.time, *, has_thinking: bool = False
    ) -> None:
        """has_thinking: the history contains thinking. Raises InvalidSchema."""
        self.is_finished = False
        self.needs_next_round = False
        self.must_drop_thinking = False
        self.pending_done: Done | None = None
        self.cost_usd: float | None = None
        self.message = MessageParser(request)
        self.end_rules = MessageEndRules(request)
        self._usage = UsageCounter()
        self._errors = UpstreamErrors(clock, has_thinking=has_thinking)
        self._has_started = False
        self._answer_started = False

    def feed(self, line: Line) -> list[Event]:
        """Returns the events of a line; the last event of an answer is Done or Failed."""
        return [] if self.is_finished else self._record_events(self._handle_line(line))

    def end(self) -> list[Event]:
        """Returns the last event after the CLI closed its output."""
        return [] if self.is_finished else self._record_events([self.pending_done or Failed(ErrorKind.CLI_FAILED)])

    def start_next_round(self) -> None:
        """Prepares for another message of the model."""
        self._answer_started = self.needs_next_round = self.must_drop_thinking = False
        for part in (self._usage, self.message, self._errors):
            part.start_next_round()

    def _record_events(self, events: list[Event]) -> list[Event]:
        self.is_finished = any(isinstance(event, Done | Failed) for event in events)
        self._answer_started = self._answer_started or any(isinstance(event, VISIBLE_EVENT) for event in events)
        return events

    def _handle_line(self, line: Line) -> list[Event]:
        message_ended = self.pending_done is not None or self.needs_next_round
        match line:
            case StreamEvent(event) if not message_ended:
                return self._handle_service_event(event)
            case RateLimitEvent(windows):
                self._errors.windows = windows
                return [windows]
            case CliError() if not message_ended:
                self._errors.cli_error = line
            case ApiRetry() if not message_ended:
                return [*self._errors.record_retry(line)]
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
                    # The connection was lost and the CLI retries, but the client has already seen part of the answer.
                    return [self._errors.build_cut()]
                self.message.start()
                self._usage.start_message(event.message.usage)
                is_first, self._has_started = not self._has_started, True
                return [Started(event.message.model, self._usage.message)] if is_first else []
            case "content_block_start":
                return self.message.open_block(event.content_block, needs_call=self.end_rules.needs_call)
            case "content_block_delta":
                events = self.message.add_delta(event.delta)
                stop = self.message.met_stop
                return events if stop is None else [*events, self._build_done("stop_sequence", stop)]
            case "content_block_stop":
                return self.message.close_block()
            case "message_delta" if event.delta.stop_reason is not None:
                self._usage.update(event.usage)
                return self._stop_message(event.delta.stop_reason, event.delta.stop_sequence)
            case _:
                return []

    def _stop_message(self, service_reason: str, sequence: str | None) -> list[Event]:
        reason, unknown_reason = to_stop_reason(service_reason)
        end = self.end_rules.decide(self.message, None if unknown_reason else reason)
        if reason == "tool_use" and not self.message.recorder.calls:
            reason = "end_turn"
        done = Done(reason, self._usage.total, stop_sequence=sequence, raw_stop_reason=unknown_reason)
        match end.next_step:
            case "refused":
                return [*end.events, done]
            case "answer" if reason == "max_tokens" or self.message.is_empty:
                # The CLI would request more text itself: the answer ends here, without the cost.
                return [*end.events, done]
            case "answer":
                self.pending_done = done
            case "replaced":
                self.pending_done = self._build_done("end_turn")
            case "next_round":
                self.needs_next_round = True
            case "failed":
                pass
        return [*end.events]

    def _handle_result(self, result: ResultLine) -> list[Event]:
        self.cost_usd = result.cost_usd
        if self.pending_done:
            return [structs.replace(self.pending_done, cost_usd=result.cost_usd)]
        if self.needs_next_round:
            return []
        failed = self._errors.build_failure(result, answer_started=self._answer_started)
        if failed is None:
            self.needs_next_round = self.must_drop_thinking = True
        return [failed] if failed else []

    def _build_done(self, reason: StopReason, stop_sequence: str | None = None) -> Done:
        return Done(reason, self._usage.total, stop_sequence=stop_sequence)
