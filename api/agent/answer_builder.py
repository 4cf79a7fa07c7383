"""What the model said, added up. Mutable: all that was said so far."""

import time
from typing import Literal

from api.agent.answers import AnswerUsage, ChatAnswer, CodeAnswer, ToolUsed
from shared.events import Declined, Done, Event, Started, TextDelta, ToolCall

type Ended = Literal["max_turns"]


class Saying:
    """One answer in the making.

    Law: the result is what was said after the last call; what came before is for those who watch.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.used: list[ToolUsed] = []
        self._text = ""
        self._earlier = ""
        self._began = time.monotonic()
        self._done: Done | None = None

    def hear(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case Started(model):
                self.model = model
            case TextDelta(text) | Declined(text):
                self._text += text
            case ToolCall():
                self._earlier, self._text = self._text or self._earlier, ""
            case Done():
                self._done = event
            case _:
                pass

    def chat(self) -> ChatAnswer:
        """The answer of a chat."""
        return ChatAnswer(
            result=self._text,
            model=self.model,
            usage=self._usage(),
            duration_ms=self._spent(),
            is_error=self._reason() != "end_turn",
            stop_reason=self._reason(),
        )

    def code(self, *, out_of_turns: bool) -> CodeAnswer:
        """The answer of work with tools. out_of_turns: it was ended by the limit."""
        reason = "max_turns" if out_of_turns else self._reason()
        return CodeAnswer(
            result=self._text or self._earlier,
            model=self.model,
            usage=self._usage(),
            duration_ms=self._spent(),
            is_error=reason != "end_turn",
            stop_reason=reason,
            tools_used=self.used,
        )

    def _reason(self) -> str:
        return self._done.stop_reason if self._done else "max_turns"

    def _spent(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def _usage(self) -> AnswerUsage | None:
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
