"""The CLI's lines as the events of one answer: a small state machine, without I/O.

Law: an answer ends where the model ended it, whatever the CLI does next; words of the CLI's own (its errors are phrased
as an assistant's) are never part of it; nothing follows Done or Failed.

The CLI may ask the model more than once for one answer: when a structured answer does not meet its schema, when the
model calls a tool that is not on offer, and in a held turn after each call. Such rounds are one answer: their tokens add
up, and a blank line parts their words.
"""

import time
from collections.abc import Callable

import msgspec

from executor.claude.failure import failure, too_long
from executor.claude.protocol import Complained, Ended, Garbage, Limited, Line, Retrying, Streamed
from executor.claude.schema import unwrapped
from executor.claude.service import STOP_REASONS, ServiceBlock, ServiceDelta, ServiceEvent, added
from executor.claude.stop import StopScanner
from executor.claude.tools import STRUCTURED, Names
from shared.errors import ErrorKind
from shared.events import (
    Declined,
    Done,
    Event,
    Failed,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSigned,
    ToolArguments,
    ToolCall,
    Usage,
    Windows,
)
from shared.turn import Turn

# What a client has seen can't be taken back.
SAID = TextDelta | ThinkingDelta | ThinkingSigned | ThinkingRedacted | ToolCall
SEAM = "\n\n"
# The longest that the CLI may wait before it asks the service again; after it, the client is told to wait itself.
PATIENCE = 5.0


class Answer:
    """Feed it lines; it gives events. Mutable: what was seen so far.

    over: Done or Failed was given. between: a message of the model is whole and the next has not begun. closing: the
    model has ended the answer, and only the CLI's word on what it cost is still awaited.
    """

    def __init__(self, turn: Turn, names: Names, clock: Callable[[], float] = time.time) -> None:
        self.over = False
        self.between = False
        self.closing: Done | None = None
        self._turn = turn
        self._names = names
        self._offered = {names.wire(tool.name) for tool in turn.tools}
        self._clock = clock
        self._scanner = StopScanner(turn.stop)
        self._earlier = Usage()
        self._round = Usage()
        self._started = False
        self._said = False
        self._spoke = False
        self._visible = False
        self._unreadable = False
        self._seam = ""
        self._block = ""
        self._calls = 0
        self._calls_earlier = 0
        self._unmet = ""
        self._delay: float | None = None
        self._arguments = ""
        self._draft = ""
        self._words = ""
        self._refusal = ""
        self._complaint: Complained | None = None
        self._windows: Windows | None = None

    def feed(self, line: Line) -> list[Event]:
        """The events that `line` brings; the last of an answer is Done or Failed."""
        return [] if self.over else self._noted(self._feed(line))

    def end(self) -> list[Event]:
        """The CLI closed its output."""
        if self.over:
            return []
        return self._noted([self.closing or Failed(ErrorKind.CLI_FAILED)])

    def _noted(self, events: list[Event]) -> list[Event]:
        self.over = any(isinstance(event, Done | Failed) for event in events)
        self._said = self._said or any(isinstance(event, SAID) for event in events)
        return events

    def _feed(self, line: Line) -> list[Event]:
        match line:
            case Streamed(event) if not self.closing:
                return self._service(event)
            case Limited(windows):
                self._windows = windows
                return [windows]
            case Complained() if not self.closing:
                self._complaint = line
            case Retrying(delay=delay) if not self.closing:
                self._delay = delay
                return [too_long(line)] if delay > PATIENCE else []
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
                    return [Failed(ErrorKind.UPSTREAM_CUT)]
                self.between = False
                self._round = added(Usage(), event.message.usage)
                first, self._started = not self._started, True
                return [Started(event.message.model, self._round)] if first else []
            case "content_block_start":
                return self._opened(event.content_block)
            case "content_block_delta":
                return self._continued(event.delta)
            case "content_block_stop":
                return self._closed()
            case "message_delta" if event.delta.stop_reason is not None:
                self._round = added(self._round, event.usage)
                reason = STOP_REASONS.get(event.delta.stop_reason, "end_turn")
                return self._stopped(reason, event.delta.stop_sequence)
            case _:
                return []

    def _opened(self, block: ServiceBlock) -> list[Event]:
        self._block = block.type
        if block.type == "redacted_thinking":
            return [ThinkingRedacted(block.data)]
        if block.type != "tool_use":
            return []
        self._arguments = ""
        if self._turn.schema and block.name == STRUCTURED:
            self._block = "structured"
        elif block.name not in self._offered or (self._calls > self._calls_earlier and not self._turn.parallel_tools):
            self._block = "stray"
        elif self._turn.tool_choice == "none":
            self._block = "stray"
            self._unmet = "It called a tool although `tool_choice` forbids it."
        elif self._turn.tool_choice == "tool" and self._names.client(block.name) != self._turn.forced_tool:
            self._block = "stray"
            self._unmet = "It called another tool than the one that `tool_choice` names."
        else:
            self._calls += 1
            return [*self._flushed(), ToolCall(block.id, self._names.client(block.name))]
        return []

    def _continued(self, delta: ServiceDelta) -> list[Event]:
        match self._block, delta.type:
            case "text" | "", "text_delta" if self._turn.schema:
                self._words += delta.text
            case "text" | "", "text_delta" if delta.text:
                text, met = self._scanner.feed(self._seam + delta.text)
                self._spoke, self._seam = True, ""
                self._visible = self._visible or bool(delta.text.strip())
                said: list[Event] = [TextDelta(text)] if text else []
                return said if met is None else [*said, Done("stop_sequence", self._usage(), stop_sequence=met)]
            case "thinking", "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking)]
            case "thinking", "signature_delta" if delta.signature:
                return [ThinkingSigned(delta.signature)]
            case "tool_use", "input_json_delta" if delta.partial_json:
                self._arguments += delta.partial_json
                return [ToolArguments(delta.partial_json)]
            case "structured", "input_json_delta":
                self._arguments += delta.partial_json
            case _:
                pass
        return []

    def _closed(self) -> list[Event]:
        block, self._block = self._block, ""
        if block == "structured":
            self._draft = self._arguments
        if block == "tool_use" and self._arguments:
            self._unreadable = self._unreadable or not _readable(self._arguments)
        # A call without arguments is a call with an empty object: clients parse what they get.
        return [ToolArguments("{}")] if block == "tool_use" and not self._arguments else []

    def _stopped(self, reason: StopReason, sequence: str | None) -> list[Event]:
        if self._unmet:
            return [Failed(ErrorKind.UNMET, self._unmet)]
        if reason == "tool_use" and (self._turn.held or not self._calls):
            return self._next_round()
        if reason == "end_turn" and self._turn.schema:
            return self._next_round()
        if reason == "end_turn" and self._turn.tool_choice in {"any", "tool"} and not self._calls:
            return [Failed(ErrorKind.UNMET, "It called no tool although `tool_choice` demands it.")]
        if reason == "refusal" and self._turn.schema:
            return [Declined(self._words), Done(reason, self._usage())]
        done = Done(reason, self._usage(), stop_sequence=sequence)
        called = reason == "tool_use" and not self._unreadable
        if called or (reason in {"end_turn", "stop_sequence"} and self._visible):
            self.closing = done
            return self._flushed()
        # The CLI would go on by itself, to have more words, some words, or a call it can read: nothing is waited for.
        return [*self._flushed(), done]

    def _next_round(self) -> list[Event]:
        """The CLI now tells the model what was wrong, or has its structured answer."""
        self.between = True
        flushed = self._flushed()
        self._earlier = self._usage()
        self._round = Usage()
        self._said = self._visible = False
        self._calls_earlier = self._calls
        self._seam = SEAM if self._spoke else ""
        self._refusal, self._words = self._words or self._refusal, ""
        return flushed

    def _ended(self, ended: Ended) -> list[Event]:
        if self.closing:
            return [msgspec.structs.replace(self.closing, cost_usd=ended.cost_usd)]
        if self._turn.schema and not ended.is_error and ended.subtype == "success":
            done = Done("end_turn", self._usage(), ended.cost_usd)
            if ended.structured and self._draft:
                answer = unwrapped(self._turn.schema, self._draft)
                return [TextDelta(answer), done] if answer else [Failed(ErrorKind.CLI_FAILED)]
            return [Declined(self._refusal or ended.text), done]
        now = self._clock()
        return [failure(ended, self._complaint, self._windows, said=self._said, now=now, delay=self._delay)]

    def _flushed(self) -> list[Event]:
        rest = self._scanner.rest()
        if self._calls:
            # Words before a call are not the words around a structured answer.
            rest, self._words = self._words + rest, ""
        return [TextDelta(rest)] if rest else []

    def _usage(self) -> Usage:
        return Usage(*(getattr(self._earlier, name) + getattr(self._round, name) for name in Usage.__struct_fields__))


def _readable(arguments: str) -> bool:
    try:
        msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
