"""The CLI's lines as the events of one answer: a state machine, without I/O.

Invariants: an answer ends where the model ended it, whatever the CLI does next. Words of the CLI's own (its errors are phrased
as an assistant's) are never part of it. Nothing follows Done or Failed.

An answer may take several rounds, each one message of the model: after the results of a held turn's calls, when a
structured answer does not meet its schema, when a call that was demanded is missing. Their tokens add up.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from executor.claude.cli.protocol import Complained, Ended, Garbage, Limited, Line, Retrying, Streamed
from executor.claude.output.call_rules import CallRules
from executor.claude.output.failure import cut_off, failure, is_about_thinking, too_long
from executor.claude.output.recorder import Call, Recorder
from executor.claude.output.service_events import ServiceBlock, ServiceDelta, ServiceEvent, added, stop_reason
from executor.claude.output.structured import StructuredOutput
from executor.claude.output.text import OutputText
from executor.claude.request.body import Request
from shared.errors import ErrorKind
from shared.events import (
    Declined,
    Done,
    Event,
    Failed,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolArguments,
    ToolCall,
    Usage,
    Windows,
)

# What a client has seen can't be taken back.
SAID = TextDelta | ThinkingDelta | ThinkingSigned | ThinkingRedacted | ToolCall
# The longest that the CLI may wait before it asks the service again; after it, the client is told to wait itself.
LONGEST_RETRY_DELAY = 5.0
MOST_DEMANDS = 1
NO_CALL = "It called no tool although `tool_choice` demands it."


class OutputParser:
    """Feed it lines; it gives events. Mutable: what was seen so far.

    over: Done or Failed was given. between: a round is over and another is to be asked for. closing: the model has ended
    the answer, and only the CLI's word on what it cost is still awaited. demanded: a call is still to be made.
    drop_thinking: the service does not accept the thinking of the history. cost_usd: of the process, when it said so last.
    """

    def __init__(self, request: Request, clock: Callable[[], float] = time.time, *, has_thinking: bool = False) -> None:
        turn = request.turn
        self.over = False
        self.between = False
        self.closing: Done | None = None
        self.demanded = turn.tool_choice in {"any", "tool"}
        self.drop_thinking = False
        self.cost_usd: float | None = None
        self.recorder = Recorder()
        self.structured = StructuredOutput(turn.schema) if turn.schema is not None else None
        self._request = request
        self._turn = turn
        self._rules = CallRules(request)
        self._has_thinking = has_thinking
        self._clock = clock
        self._text = OutputText(turn.stop, held=turn.schema is not None or bool(request.demand))
        self._earlier = Usage()
        self._round = Usage()
        self._started = False
        self._said = False
        self._block = ""
        self._refusal = ""
        self._demands = 0
        self._retrying: Retrying | None = None
        self._complaint: Complained | None = None
        self._windows: Windows | None = None

    @property
    def given(self) -> list[Call]:
        """The calls of this round that the caller has."""
        return [call for call in self.recorder.calls if call.fate == "given"]

    @property
    def cli_goes_on(self) -> bool:
        """Whether the CLI asks the service once more by itself, because the message has neither words nor calls."""
        return not self.recorder.calls and not self.recorder.visible

    def feed(self, line: Line) -> list[Event]:
        """The events that `line` brings; the last of an answer is Done or Failed."""
        return [] if self.over else self._note(self._feed(line))

    def end(self) -> list[Event]:
        """The CLI closed its output."""
        return [] if self.over else self._note([self.closing or Failed(ErrorKind.CLI_FAILED)])

    def next_round(self) -> None:
        """Another message of the model is asked for."""
        self._earlier = self._usage()
        self._round = Usage()
        self._said = self.between = self.drop_thinking = False
        self.recorder, self._block = Recorder(), ""
        self._text.next_round()
        self._complaint = self._retrying = None

    def _note(self, events: list[Event]) -> list[Event]:
        self.over = any(isinstance(event, Done | Failed) for event in events)
        self._said = self._said or any(isinstance(event, SAID) for event in events)
        return events

    def _feed(self, line: Line) -> list[Event]:
        waiting = self.closing is not None or self.between
        match line:
            case Streamed(event) if not waiting:
                return self._service(event)
            case Limited(windows):
                self._windows = windows
                return [windows]
            case Complained() if not waiting:
                self._complaint = line
            case Retrying(delay=delay) if not waiting:
                self._retrying = line
                return [too_long(line)] if delay > LONGEST_RETRY_DELAY else []
            case Ended():
                return self._ended(line)
            case Garbage():
                return [self.closing or Failed(ErrorKind.CLI_FAILED)]
            case _:
                pass
        return []

    def _service(self, event: ServiceEvent) -> list[Event]:
        match event.type:
            case "message_start":
                if self._said:
                    # The connection was lost and the CLI asks again; what was already given out can't be taken back.
                    return [cut_off(self._retrying)]
                self.recorder, self._block = Recorder(), ""
                self._round = added(Usage(), event.message.usage)
                first, self._started = not self._started, True
                return [Started(event.message.model, self._round)] if first else []
            case "content_block_start":
                return self._open(event.content_block)
            case "content_block_delta":
                return self._continue(event.delta)
            case "content_block_stop":
                return self._close()
            case "message_delta" if event.delta.stop_reason is not None:
                self._round = added(self._round, event.usage)
                return self._stop(event.delta.stop_reason, event.delta.stop_sequence)
            case _:
                return []

    def _open(self, block: ServiceBlock) -> list[Event]:
        self._block = block.type
        if block.type != "tool_use":
            self.recorder.open(block)
            return [ThinkingRedacted(block.data)] if block.type == "redacted_thinking" else []
        fate = self._rules.decide(block.name, demanded=self.demanded, surplus=bool(self.given))
        self.recorder.open_call(block, fate)
        if fate != "given":
            return []
        return [*self._text.release(), ToolCall(block.id, self._request.wire.names.to_client(block.name))]

    def _continue(self, delta: ServiceDelta) -> list[Event]:
        self.recorder.add(delta)
        match self._block, delta.type:
            case "text" | "", "text_delta" if delta.text:
                said, met = self._text.feed(delta.text)
                return [*said] if met is None else [*said, Done("stop_sequence", self._usage(), stop_sequence=met)]
            case "thinking", "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking)]
            case "thinking", "signature_delta" if delta.signature:
                return [ThinkingSigned(delta.signature)]
            case "tool_use", "input_json_delta" if delta.partial_json and self._streams:
                return [ToolArguments(delta.partial_json)]
            case _:
                return []

    @property
    def _streams(self) -> bool:
        """Whether the arguments of the last call are given out as they come."""
        call = self.recorder.calls[-1]
        return call.fate == "given" and self._request.wire.form(self._client_name(call)).plain

    def _client_name(self, call: Call) -> str:
        return self._request.wire.names.to_client(call.name)

    def _close(self) -> list[Event]:
        block, self._block = self._block, ""
        if block != "tool_use" or self.recorder.calls[-1].fate != "given":
            return []
        call = self.recorder.calls[-1]
        if self._streams:
            # A call without arguments is a call with an empty object: clients parse what they get.
            return [] if any(call.pieces) else [ToolArguments("{}")]
        return [ToolArguments(self._request.wire.form(self._client_name(call)).to_client(call.arguments))]

    def _stop(self, word: str, sequence: str | None) -> list[Event]:
        reason, reported = stop_reason(word)
        if self._rules.broken:
            return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, self._rules.broken)]
        if reason == "refusal" and self.structured:
            return [Declined(self._text.words), Done(reason, self._usage())]
        if reason in {"end_turn", "tool_use"} and not reported:
            decided = self._decide()
            if decided is not None:
                return decided
        if reason == "tool_use" and not self.recorder.calls:
            reason = "end_turn"
        done = Done(reason, self._usage(), stop_sequence=sequence, reported=reported)
        events: list[Event] = [*self._text.release()] if self.given or self.structured is None else []
        if reason == "max_tokens" or self.cli_goes_on:
            # The CLI would go on by itself, to have more words: nothing is waited for.
            return [*events, done]
        self.closing = done
        return events

    def _decide(self) -> list[Event] | None:
        """What becomes of a message that the model ended by itself; None where it is the answer."""
        if self.given:
            self.demanded = self.demanded and not self._turn.held
            return self._another(self._text.release()) if self._turn.held else None
        if self.structured:
            return self._decide_structured()
        if self.demanded:
            if not self._request.demand or self._demands >= MOST_DEMANDS:
                return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, NO_CALL)]
            self._demands += 1
            return self._another()
        return self._another(self._text.release()) if self.recorder.calls else None

    def _decide_structured(self) -> list[Event]:
        assert self.structured
        call = next((call for call in reversed(self.recorder.calls) if call.fate == "structured"), None)
        self._refusal = self._text.words or self._refusal
        if call is not None:
            answer = self.structured.accept(call.arguments)
            if answer is not None:
                self.closing = Done("end_turn", self._usage())
                return [TextDelta(answer)]
        elif not self.recorder.calls and self.structured.demand_is_spent():
            self.closing = Done("end_turn", self._usage())
            return [Declined(self._refusal)]
        if self.structured.attempts_are_spent():
            return [Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, self.structured.problem)]
        return self._another()

    def _another(self, said: Sequence[TextDelta] = ()) -> list[Event]:
        self.between = True
        return [*said]

    def _ended(self, ended: Ended) -> list[Event]:
        self.cost_usd = ended.cost_usd
        if self.closing:
            return [msgspec.structs.replace(self.closing, cost_usd=ended.cost_usd)]
        if self.between:
            return []
        failed = failure(
            ended,
            self._complaint,
            self._windows,
            said=self._said,
            now=self._clock(),
            delay=self._retrying.delay if self._retrying else None,
            retried=self._retrying is not None,
        )
        if self._has_thinking and not self._said and is_about_thinking(failed):
            self._has_thinking = False
            self.between = self.drop_thinking = True
            return []
        return [failed]

    def _usage(self) -> Usage:
        return Usage(*(getattr(self._earlier, name) + getattr(self._round, name) for name in Usage.__struct_fields__))
