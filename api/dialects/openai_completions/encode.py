"""Encodes events as a legacy completion: chunks of a stream, or one JSON object. Pure.

Invariants: every chunk has the same id, time and model. Only the last chunk of an answer has its finish reason. `[DONE]`
ends every stream, also after an error. A completion has no thinking.
"""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from api.core.problems import problem_from_failure
from api.dialects.openai_common import DONE_EVENT, ChatUsage, build_usage, encoder, render_error
from api.dialects.openai_completions.models import EndReason, TextChoice, TextCompletion
from api.http.sse import render_data
from shared.events import Done, Event, Failed, Started, StopReason, TextDelta

FINISH_REASONS: dict[StopReason, EndReason] = {"max_tokens": "length", "refusal": "content_filter"}


class CompletionEncoder:
    """Encodes the answers to one request. Mutable: the model, the text of each answer, and how each ended."""

    def __init__(
        self, completion_id: str, created: int, model: str, echoes: Sequence[str], *, include_usage: bool = False
    ) -> None:
        self._id = completion_id
        self._created = created
        self._model = model
        self._echoes = echoes
        self._include_usage = include_usage
        self._texts: list[list[str]] = [[] for _ in echoes]
        self._done: list[Done | None] = [None for _ in echoes]

    def encode_event(self, event: Event, choice: int = 0) -> bytes:
        """Returns the chunks of an event of the answer `choice`."""
        match event:
            case Started(model):
                self._model = model or self._model
                return self._add_text(self._echoes[choice], choice) if self._echoes[choice] else b""
            case TextDelta(text):
                return self._add_text(text, choice)
            case Done():
                self._done[choice] = event
                return (
                    self._render_chunk([TextChoice("", choice, FINISH_REASONS.get(event.stop_reason, "stop"))])
                    + self._render_end()
                )
            case Failed():
                return render_data(self.encode_error(problem_from_failure(event))) + DONE_EVENT
            case _:
                return b""

    def encode_answer(self) -> bytes:
        """Returns all answers as one JSON object."""
        choices = [
            TextChoice("".join(texts), index, FINISH_REASONS.get(done.stop_reason, "stop") if done else None)
            for index, (texts, done) in enumerate(zip(self._texts, self._done, strict=True))
        ]
        return encoder.encode(self._build_completion(choices, self._build_usage()))

    encode_error = staticmethod(render_error)

    def _add_text(self, text: str, choice: int) -> bytes:
        self._texts[choice].append(text)
        return self._render_chunk([TextChoice(text, choice)])

    def _render_end(self) -> bytes:
        if not all(self._done):
            return b""
        return (self._render_chunk([], self._build_usage()) if self._include_usage else b"") + DONE_EVENT

    def _render_chunk(self, choices: list[TextChoice], usage: ChatUsage | None = None) -> bytes:
        return render_data(encoder.encode(self._build_completion(choices, usage if self._include_usage else UNSET)))

    def _build_completion(self, choices: list[TextChoice], usage: ChatUsage | UnsetType | None) -> TextCompletion:
        return TextCompletion(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)

    def _build_usage(self) -> ChatUsage:
        return build_usage([done for done in self._done if done])
