"""Builds an agent's answer from the model's events."""

import time
from typing import Any

from api.agent.answers import AnswerUsage, ChatAnswer, CodeAnswer, ToolUsed
from shared.events import Done, Event, RefusedOutput, Started, TextDelta, ToolCall


class AnswerBuilder:
    """Builds one answer. Mutable: the text and usage so far.

    Invariants: the result is the text after the last call; earlier text is progress.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.tools_used: list[ToolUsed] = []
        self._text = ""
        self._earlier = ""
        self._started_at = time.monotonic()
        self._done: Done | None = None

    def add_event(self, event: Event) -> None:
        """Adds an event."""
        match event:
            case Started(model):
                self.model = model
            case TextDelta(text) | RefusedOutput(text):
                self._text += text
            case ToolCall():
                self._earlier, self._text = self._text or self._earlier, ""
            case Done():
                self._done = event
            case _:
                pass

    def build_chat_answer(self) -> ChatAnswer:
        """Returns the answer of a chat."""
        return ChatAnswer(**self._build_fields())

    def build_code_answer(self, *, out_of_turns: bool) -> CodeAnswer:
        """Returns the answer of work with tools. out_of_turns: the turn limit ended it."""
        return CodeAnswer(**self._build_fields(out_of_turns=out_of_turns), tools_used=self.tools_used)

    def _build_fields(self, *, out_of_turns: bool = False) -> dict[str, Any]:
        reason = self._done.stop_reason if self._done and not out_of_turns else "max_turns"
        return {
            "result": self._text or self._earlier,
            "model": self.model,
            "usage": self._build_usage(),
            "duration_ms": round((time.monotonic() - self._started_at) * 1000),
            "is_error": reason != "end_turn",
            "stop_reason": reason,
        }

    def _build_usage(self) -> AnswerUsage | None:
        if not self._done:
            return None
        usage = self._done.usage
        return AnswerUsage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            self._done.cost_usd,
        )
