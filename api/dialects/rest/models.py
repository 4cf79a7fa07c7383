"""The structs of REST that are its own; what is asked and answered is the same for every door (`api.agent`)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from api.core.schema import doc


class RestError(Struct, frozen=True):
    """Why there is no answer."""

    detail: Annotated[str, doc("A sentence for people, which says what can be done.")]
    code: Annotated[str, doc("What programs can act on.")]


class StartEvent(Struct, frozen=True):
    """The model began to answer. model: its full id."""

    model: str


class TextEvent(Struct, frozen=True):
    """The next words of the answer, or of the model's thinking."""

    text: str


class ToolStartEvent(Struct, frozen=True):
    """A tool begins to work. input: its arguments in a line."""

    id: str
    name: str
    input: str


class ToolOutputEvent(Struct, frozen=True):
    """The command of a tool wrote this."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEndEvent(Struct, frozen=True):
    """A tool's work is done. content: what the model is told of it, as far as that is text."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputEvent(Struct, frozen=True):
    """A command wrote this."""

    stream: Literal["stdout", "stderr"]
    text: str


encoder = msgspec.json.Encoder()
