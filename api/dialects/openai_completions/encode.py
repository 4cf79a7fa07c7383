"""Events as a legacy completion: pieces of a stream, or one JSON object. Pure.

Law: every piece has the same id, time and model; each answer's finish reason is said once, last; `[DONE]` ends every
stream, also after an error. Thinking is no part of a completion.
"""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from api.core.problems import Problem, of_failure
from api.dialects.openai_common import DONE, ChatUsage, encoder, envelope, usage
from api.dialects.openai_completions.models import EndReason, TextChoice, TextCompletion
from api.http.sse import data
from shared.events import Done, Event, Failed, Started, StopReason, TextDelta

FINISH: dict[StopReason, EndReason] = {"max_tokens": "length", "refusal": "content_filter"}


class CompletionEncoder:
    """The answers to one request in the making. Mutable: the model, the text of each answer, and how each ended."""

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

    def event(self, event: Event, choice: int = 0) -> bytes:
        """The pieces that say `event`, of the answer `choice`."""
        match event:
            case Started(model):
                self._model = model or self._model
                return self._said(self._echoes[choice], choice) if self._echoes[choice] else b""
            case TextDelta(text):
                return self._said(text, choice)
            case Done():
                self._done[choice] = event
                return self._piece([TextChoice("", choice, finish(event))]) + self._end()
            case Failed():
                return data(self.problem(of_failure(event))) + DONE
            case _:
                return b""

    def whole(self) -> bytes:
        """Every answer, as one object."""
        ends: list[EndReason | None] = [finish(done) if done else None for done in self._done]
        choices = [TextChoice("".join(texts), index, ends[index]) for index, texts in enumerate(self._texts)]
        return encoder.encode(self._completion(choices, self._usage()))

    def problem(self, problem: Problem) -> bytes:
        """An error as its JSON body."""
        return envelope(problem)

    def _said(self, text: str, choice: int) -> bytes:
        self._texts[choice].append(text)
        return self._piece([TextChoice(text, choice)])

    def _end(self) -> bytes:
        if not all(self._done):
            return b""
        return (self._piece([], self._usage()) if self._include_usage else b"") + DONE

    def _piece(self, choices: list[TextChoice], counted: ChatUsage | None = None) -> bytes:
        return data(encoder.encode(self._completion(choices, counted if self._include_usage else UNSET)))

    def _completion(self, choices: list[TextChoice], counted: ChatUsage | UnsetType | None) -> TextCompletion:
        return TextCompletion(id=self._id, created=self._created, model=self._model, choices=choices, usage=counted)

    def _usage(self) -> ChatUsage:
        return usage([done for done in self._done if done])


def finish(done: Done) -> EndReason:
    """Why an answer ended, in OpenAI's words."""
    return FINISH.get(done.stop_reason, "stop")
