"""Encodes steps as named events of a stream, or the answer as one JSON object. Pure.

Invariants: a stream ends with exactly one event `result` or `error`. Its data is the same body that a request without a
stream gets.
"""

from msgspec import Struct

from api.agent.answers import (
    BashAnswer,
    ChatAnswer,
    CodeAnswer,
    FileAnswer,
    FinalAnswer,
    OutputChunk,
    Step,
    ToolEnded,
    ToolOutputChunk,
    ToolStarted,
)
from api.core.problems import Problem, problem_from_failure
from api.dialects.rest.models import (
    OutputEvent,
    RestError,
    StartEvent,
    TextEvent,
    ToolEndEvent,
    ToolOutputEvent,
    ToolStartEvent,
    encoder,
)
from api.http.sse import render_named_event
from shared.events import Failed, RefusedOutput, Started, TextDelta, ThinkingDelta


class RestEncoder:
    """Encodes one answer. Mutable: the answer, once there is one."""

    def __init__(self) -> None:
        self._answer: FinalAnswer | None = None

    def encode_event(self, event: Step, choice: int = 0) -> bytes:
        """Returns the stream event of a step."""
        assert choice == 0
        match event:
            case Started(model):
                return render_event("start", StartEvent(model))
            case TextDelta(text) | RefusedOutput(text):
                return render_event("text", TextEvent(text))
            case ThinkingDelta(text):
                return render_event("thinking", TextEvent(text))
            case ToolStarted(call, name, arguments):
                return render_event("tool_start", ToolStartEvent(call, name, arguments))
            case ToolOutputChunk(call, stream, text):
                return render_event("tool_output", ToolOutputEvent(call, stream, text))
            case ToolEnded(call, name, is_error, content):
                return render_event("tool_end", ToolEndEvent(call, name, is_error, content))
            case OutputChunk(stream, text):
                return render_event("output", OutputEvent(stream, text))
            case ChatAnswer() | CodeAnswer() | FileAnswer() | BashAnswer():
                self._answer = event
                return render_event("result", event)
            case Failed():
                return render_event("error", to_error_body(problem_from_failure(event)))
            case _:
                return b""

    def encode_answer(self) -> bytes:
        """Returns the JSON body of the answer."""
        assert self._answer
        return encoder.encode(self._answer)

    def encode_error(self, problem: Problem) -> bytes:
        """Returns the JSON body of an error."""
        return render_error(problem)


def render_event(name: str, data: Struct) -> bytes:
    """Renders an event of a stream."""
    return render_named_event(name, encoder.encode(data))


def to_error_body(problem: Problem) -> RestError:
    """Converts a problem to the error body of REST."""
    return RestError(problem.message, problem.code)


def render_error(problem: Problem) -> bytes:
    """Returns the JSON body of an error."""
    return encoder.encode(to_error_body(problem))
