"""Records an answer as the client receives it. Pure."""

from shared.events import (
    Event,
    RefusedOutput,
    TextDelta,
    ThinkingDelta,
    ThinkingRedacted,
    ThinkingSignature,
    ToolArgumentsDelta,
    ToolCall,
)
from shared.turn import Block, RedactedThinking, Text, Thinking, ToolUse


class AnswerRecorder:
    """Takes the events of an answer. Mutable: the blocks so far. is_refusal: the model refused a structured answer."""

    def __init__(self) -> None:
        self.is_refusal = False
        self._blocks: list[Block] = []
        self._kind = ""
        self._pieces: list[str] = []
        self._call = ToolCall("", "")

    def record(self, event: Event) -> None:
        """Records the answer's next event."""
        match event:
            case TextDelta(text):
                self._add("text", text)
            case ThinkingDelta(text):
                self._add("thinking", text)
            case ThinkingSignature(signature):
                if self._kind != "thinking":
                    self._start("thinking")
                self._blocks.append(Thinking("".join(self._pieces), signature))
                self._kind = ""
            case ThinkingRedacted(data):
                self._close()
                self._blocks.append(RedactedThinking(data))
            case ToolCall():
                self._start("call")
                self._call = event
            case ToolArgumentsDelta(json):
                self._add("call", json)
            case RefusedOutput():
                self.is_refusal = True
            case _:
                pass

    def build_content(self) -> tuple[Block, ...]:
        """Returns the blocks of the answer."""
        self._close()
        return tuple(self._blocks)

    def _add(self, kind: str, piece: str) -> None:
        if self._kind != kind:
            self._start(kind)
        self._pieces.append(piece)

    def _start(self, kind: str) -> None:
        self._close()
        self._kind, self._pieces = kind, []

    def _close(self) -> None:
        text = "".join(self._pieces)
        match self._kind:
            case "text":
                self._blocks.append(Text(text))
            case "thinking":
                self._blocks.append(Thinking(text, ""))
            case "call":
                self._blocks.append(ToolUse(self._call.id, self._call.name, text or "{}"))
            case _:
                pass
        self._kind = ""
