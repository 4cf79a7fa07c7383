"""Builds an agent's answer from the model's events."""

import time
from typing import Literal

from api.agent.answers import AnswerUsage, ChatAnswer, CodeAnswer, ToolUsed
from shared.events import Done, Event, RefusedOutput, Started, TextDelta, ToolCall

type LimitReason = Literal["max_turns"]


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
        return ChatAnswer(
            result=self._text,
            model=self.model,
            usage=self._build_usage(),
            duration_ms=self._measure_duration(),
            is_error=self._get_stop_reason() != "end_turn",
            stop_reason=self._get_stop_reason(),
        )

    def build_code_answer(self, *, out_of_turns: bool) -> CodeAnswer:
        """Returns the answer of work with tools. out_of_turns: the turn limit ended it."""
        reason = "max_turns" if out_of_turns else self._get_stop_reason()
        return CodeAnswer(
            result=self._text or self._earlier,
            model=self.model,
            usage=self._build_usage(),
            duration_ms=self._measure_duration(),
            is_error=reason != "end_turn",
            stop_reason=reason,
            tools_used=self.tools_used,
        )

    def _get_stop_reason(self) -> str:
        return self._done.stop_reason if self._done else "max_turns"

    def _measure_duration(self) -> int:
        return round((time.monotonic() - self._started_at) * 1000)

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
