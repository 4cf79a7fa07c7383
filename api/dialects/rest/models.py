"""The structs that only REST has. Requests and answers are in `api.agent`, for all dialects."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from api.core.schema import doc


class RestError(Struct, frozen=True):
    """Why there is no answer."""

    detail: Annotated[str, doc("A sentence for people, which says what can be done.")]
    code: Annotated[str, doc("What programs can act on.")]


class StartEvent(Struct, frozen=True):
    """The model starts to answer. model: its full id."""

    model: str


class TextEvent(Struct, frozen=True):
    """A piece of the answer, or of the model's thinking."""

    text: str


class ToolStartEvent(Struct, frozen=True):
    """A tool starts. input: its arguments in one line."""

    id: str
    name: str
    input: str


class ToolOutputEvent(Struct, frozen=True):
    """Output of a tool's command."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEndEvent(Struct, frozen=True):
    """A tool ended. content: the text of the result that the model gets."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputEvent(Struct, frozen=True):
    """Output of a command."""

    stream: Literal["stdout", "stderr"]
    text: str


encoder = msgspec.json.Encoder()
