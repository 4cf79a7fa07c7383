"""Parses the content blocks of one message of the model into events. Pure.

Invariants: events keep the order of the blocks: buffered text is emitted before the call that follows it. Thinking is
emitted unchanged, with its signature. Every block is recorded for the next round, also those that emit no event.
"""

from executor.claude.output.recorder import Recorder
from executor.claude.output.service_events import ServiceBlock, ServiceDelta
from executor.claude.output.text import OutputText
from executor.claude.output.tool_calls import ToolCallParser
from executor.claude.request.body import ModelRequest
from shared.events import Event, TextDelta, ThinkingDelta, ThinkingRedacted, ThinkingSignature, ToolCall

# Events that a client has seen can't be taken back.
VISIBLE_EVENT = TextDelta | ThinkingDelta | ThinkingSignature | ThinkingRedacted | ToolCall


class MessageParser:
    """Parses the message of the current round. Mutable: its blocks so far.

    met_stop: the client's stop text that the message contains; no more of the message is emitted.
    """

    def __init__(self, request: ModelRequest) -> None:
        self.recorder = Recorder()
        self.calls = ToolCallParser(request)
        self.text = OutputText(
            request.turn.stop, is_buffering=request.turn.schema is not None or bool(request.call_instruction)
        )
        self.met_stop: str | None = None
        self._block_type = ""

    @property
    def is_empty(self) -> bool:
        """Whether the message has neither visible text nor calls; the CLI then asks the service again by itself."""
        return not self.recorder.calls and not self.recorder.has_visible_text

    def start(self) -> None:
        """Starts a message; a message that the CLI requests again replaces the one before."""
        self.recorder, self._block_type = Recorder(), ""
        self.text.discard_buffer()

    def start_next_round(self) -> None:
        """Starts the message of another round."""
        self.start()
        self.text.start_next_round()

    def open_block(self, block: ServiceBlock, *, needs_call: bool) -> list[Event]:
        """Starts a block. needs_call: the request still demands a call."""
        self._block_type = block.type
        if block.type == "tool_use":
            calls = self.calls.open(block, self.recorder, needs_call=needs_call)
            return [*self.text.flush(), *calls] if calls else []
        self.recorder.open_block(block)
        return [ThinkingRedacted(block.data)] if block.type == "redacted_thinking" else []

    def add_delta(self, delta: ServiceDelta) -> list[Event]:
        """Continues the current block."""
        self.recorder.add_delta(delta)
        match self._block_type, delta.type:
            case "text" | "", "text_delta" if delta.text:
                deltas, self.met_stop = self.text.feed(delta.text)
                return [*deltas]
            case "thinking", "thinking_delta" if delta.thinking:
                return [ThinkingDelta(delta.thinking)]
            case "thinking", "signature_delta" if delta.signature:
                return [ThinkingSignature(delta.signature)]
            case "tool_use", "input_json_delta":
                return [*self.calls.add_arguments(self.recorder.calls[-1], delta.partial_json)]
            case _:
                return []

    def close_block(self) -> list[Event]:
        """Ends the current block."""
        block_type, self._block_type = self._block_type, ""
        return [*self.calls.close(self.recorder.calls[-1])] if block_type == "tool_use" else []
