"""Encodes steps as named events of a stream, or the answer as one JSON object. Pure.

Invariants: a stream ends with exactly one event `result` or `error`. Its data is the same body that a request without a
stream gets.
"""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.agent.answers import (
    BashAnswer,
    ChatAnswer,
    FileAnswer,
    FinalAnswer,
    OutputChunk,
    Step,
    ToolEnded,
    ToolOutputChunk,
    ToolStarted,
)
from api.core.problems import Problem, problem_from_failure
from api.core.schema import doc
from api.http.sse import render_named_event
from shared.events import Failed, RefusedOutput, Started, TextDelta, ThinkingDelta


class RestError(Struct, frozen=True):
    """The body of an error."""

    detail: Annotated[str, doc("A sentence for people: what is wrong, and how to fix it.")]
    code: Annotated[str, doc("The error code, for programs.")]


def render_event(name: str, data: object) -> bytes:
    """Renders an event of a stream."""
    return render_named_event(name, msgspec.json.encode(data))


def render_error(problem: Problem) -> bytes:
    """Returns the JSON body of an error."""
    return msgspec.json.encode(RestError(problem.message, problem.code))


class RestEncoder:
    """Encodes one answer. Mutable: the answer, once there is one."""

    def __init__(self) -> None:
        self._answer: FinalAnswer | None = None

    def encode_event(self, event: Step, choice: int = 0) -> bytes:
        """Returns the stream event of a step."""
        assert choice == 0
        match event:
            case Started(model):
                return render_event("start", {"model": model})
            case TextDelta(text) | RefusedOutput(text):
                return render_event("text", {"text": text})
            case ThinkingDelta(text):
                return render_event("thinking", {"text": text})
            case ToolStarted():
                return render_event("tool_start", event)
            case ToolOutputChunk():
                return render_event("tool_output", event)
            case ToolEnded():
                return render_event("tool_end", event)
            case OutputChunk():
                return render_event("output", event)
            case ChatAnswer() | FileAnswer() | BashAnswer():
                self._answer = event
                return render_event("result", event)
            case Failed():
                return render_named_event("error", render_error(problem_from_failure(event)))
            case _:
                return b""

    def encode_answer(self) -> bytes:
        """Returns the JSON body of the answer."""
        assert self._answer
        return msgspec.json.encode(self._answer)

    encode_error = staticmethod(render_error)
