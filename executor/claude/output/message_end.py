"""Decides what follows a message of the model when it ends. Pure.

Invariants: an answer that violates the request's `tool_choice` or schema is never accepted. The number of further rounds for
one demand is limited: MAX_CALL_REMINDERS for a call, MAX_ATTEMPTS and MAX_REMINDERS for a structured answer.
"""

from typing import Literal

from msgspec import Struct

from executor.claude.output.message import MessageParser
from executor.claude.output.structured import StructuredOutput
from executor.claude.request.body import ModelRequest
from shared.errors import ErrorKind
from shared.events import Event, Failed, RefusedOutput, StopReason, TextDelta

MAX_CALL_REMINDERS = 1
MISSING_CALL = "It called no tool although `tool_choice` demands it."


class MessageEnd(Struct, frozen=True):
    """What follows a message; `events` must still be emitted.

    answer: the message is the answer. refused: the model refused. replaced: `events` replace the answer.
    next_round: another request is sent to the model. failed: the event is Failed.
    """

    next_step: Literal["answer", "refused", "replaced", "next_round", "failed"]
    events: tuple[Event, ...] = ()


class MessageEndRules:
    """Applies the demands of one request. Mutable: what the request still demands, and how often the model was reminded.

    needs_call: the request demands a call that was not made yet.
    """

    def __init__(self, request: ModelRequest) -> None:
        """Raises InvalidSchema."""
        turn = request.turn
        self.needs_call = turn.tool_choice in {"any", "tool"}
        self.structured = StructuredOutput(turn.schema) if turn.schema is not None else None
        self._is_interactive = turn.interactive
        self._has_instruction = bool(request.call_instruction)
        self._reminder_count = 0
        self._refusal_text = ""

    def decide(self, message: MessageParser, reason: StopReason | None) -> MessageEnd:
        """Returns what follows the message. reason: why the model ended it; None for a reason that is not known here."""
        if message.calls.violation:
            return _fail(message.calls.violation)
        if reason == "refusal" and self.structured:
            return MessageEnd("refused", (RefusedOutput(message.text.buffered_text),))
        end = self._decide_completed(message) if reason in {"end_turn", "tool_use"} else MessageEnd("answer")
        if end.next_step == "answer" and (message.recorder.caller_calls or not self.structured):
            return MessageEnd("answer", tuple(message.text.flush()))
        return end

    def _decide_completed(self, message: MessageParser) -> MessageEnd:
        """Returns what follows a message that the model completed."""
        if message.recorder.caller_calls:
            if not self._is_interactive:
                return MessageEnd("answer")
            self.needs_call = False
            return MessageEnd("next_round", tuple(message.text.flush()))
        if self.structured:
            return self._decide_structured(message, self.structured)
        if self.needs_call:
            if not self._has_instruction or self._reminder_count >= MAX_CALL_REMINDERS:
                return _fail(MISSING_CALL)
            self._reminder_count += 1
            return MessageEnd("next_round")
        return MessageEnd("next_round", tuple(message.text.flush())) if message.recorder.calls else MessageEnd("answer")

    def _decide_structured(self, message: MessageParser, structured: StructuredOutput) -> MessageEnd:
        call = next((call for call in reversed(message.recorder.calls) if call.status == "structured"), None)
        self._refusal_text = message.text.buffered_text or self._refusal_text
        if call is not None:
            answer = structured.accept(call.arguments)
            if answer is not None:
                return MessageEnd("replaced", (TextDelta(answer),))
        elif not message.recorder.calls and structured.is_reminder_exhausted():
            return MessageEnd("replaced", (RefusedOutput(self._refusal_text),))
        return _fail(structured.problem) if structured.has_exhausted_attempts() else MessageEnd("next_round")


def _fail(reason: str) -> MessageEnd:
    return MessageEnd("failed", (Failed(ErrorKind.OUTPUT_VALIDATION_FAILED, reason),))
