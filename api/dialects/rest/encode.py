"""Steps as named events of a stream, or the answer as one JSON object. Pure.

Law: a stream ends in exactly one event `result` or `error`; the data of `result` is the very body that a plain request
gets, that of `error` the very body of an error.
"""

from msgspec import Struct

from api.agent.answers import (
    BashAnswer,
    CallBegan,
    CallEnded,
    CallWrote,
    ChatAnswer,
    CodeAnswer,
    FileAnswer,
    Finished,
    Step,
    Wrote,
)
from api.core.problems import Problem, of_failure
from api.dialects.rest.models import (
    OutputEvent,
    Refusal,
    StartEvent,
    TextEvent,
    ToolEndEvent,
    ToolOutputEvent,
    ToolStartEvent,
    encoder,
)
from api.http.sse import named
from shared.events import Declined, Failed, Started, TextDelta, ThinkingDelta


class RestEncoder:
    """One answer. Mutable: the answer, once it is there."""

    def __init__(self) -> None:
        self._answer: Finished | None = None

    def event(self, event: Step, choice: int = 0) -> bytes:
        """The bytes of a stream that say what happened."""
        assert choice == 0
        match event:
            case Started(model):
                return said("start", StartEvent(model))
            case TextDelta(text) | Declined(text):
                return said("text", TextEvent(text))
            case ThinkingDelta(text):
                return said("thinking", TextEvent(text))
            case CallBegan(call, name, arguments):
                return said("tool_start", ToolStartEvent(call, name, arguments))
            case CallWrote(call, stream, text):
                return said("tool_output", ToolOutputEvent(call, stream, text))
            case CallEnded(call, name, is_error, content):
                return said("tool_end", ToolEndEvent(call, name, is_error, content))
            case Wrote(stream, text):
                return said("output", OutputEvent(stream, text))
            case ChatAnswer() | CodeAnswer() | FileAnswer() | BashAnswer():
                self._answer = event
                return said("result", event)
            case Failed():
                return said("error", refusal(of_failure(event)))
            case _:
                return b""

    def whole(self) -> bytes:
        """The JSON body of the answer."""
        assert self._answer
        return encoder.encode(self._answer)

    def problem(self, problem: Problem) -> bytes:
        """The JSON body of an error."""
        return envelope(problem)


def said(name: str, data: Struct) -> bytes:
    """An event of a stream."""
    return named(name, encoder.encode(data))


def refusal(problem: Problem) -> Refusal:
    """An error, as REST says it."""
    return Refusal(problem.message, problem.code)


def envelope(problem: Problem) -> bytes:
    """The JSON body of an error."""
    return encoder.encode(refusal(problem))
