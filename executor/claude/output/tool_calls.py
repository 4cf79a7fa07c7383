"""Parses the calls of one message of the model into events for the caller. Pure.

Invariants: the caller sees only calls with the status `accepted`, under the client's names. Each is one ToolCall followed by its
arguments, which join to the JSON text that the client's schema describes.
"""

from executor.claude.output.call_rules import CallRules
from executor.claude.output.recorder import RecordedCall, Recorder
from executor.claude.output.service_events import ServiceBlock
from executor.claude.request.body import ModelRequest
from shared.events import ToolArgumentsDelta, ToolCall


class ToolCallParser:
    """Decides about each call and encodes it. Mutable: the rule that a call violated."""

    def __init__(self, request: ModelRequest) -> None:
        self._wire = request.wire
        self._rules = CallRules(request)

    @property
    def violation(self) -> str:
        """The rule that the model violated, as a sentence for the client; empty if it violated none."""
        return self._rules.violation

    def open(self, block: ServiceBlock, recorder: Recorder, *, needs_call: bool) -> list[ToolCall]:
        """Records a call that starts. Returns its event if the caller gets the call."""
        status = self._rules.decide(block.name, needs_call=needs_call, surplus=bool(recorder.caller_calls))
        recorder.open_call(block, status)
        return [ToolCall(block.id, self._wire.names.to_client(block.name))] if status == "accepted" else []

    def add_arguments(self, call: RecordedCall, piece: str) -> list[ToolArgumentsDelta]:
        """Returns a piece of the arguments, if they can be streamed as the model writes them."""
        return [ToolArgumentsDelta(piece)] if piece and self._is_streamed(call) else []

    def close(self, call: RecordedCall) -> list[ToolArgumentsDelta]:
        """Returns the arguments that were not streamed."""
        if call.status != "accepted":
            return []
        if self._is_streamed(call):
            # Clients parse the arguments, so a call without arguments gets an empty object.
            return [] if any(call.pieces) else [ToolArgumentsDelta("{}")]
        form = self._wire.find_form(self._wire.names.to_client(call.name))
        return [ToolArgumentsDelta(form.to_client(call.arguments))]

    def _is_streamed(self, call: RecordedCall) -> bool:
        return call.status == "accepted" and self._wire.find_form(self._wire.names.to_client(call.name)).is_plain
