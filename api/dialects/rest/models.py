"""The errors and events of the REST API. `api.agent` has its requests and answers."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from api.core.schema import doc


class RestError(Struct, frozen=True):
    """The body of an error."""

    detail: Annotated[str, doc("A sentence for people: what is wrong, and how to fix it.")]
    code: Annotated[str, doc("The error code, for programs.")]


class StartEvent(Struct, frozen=True):
    """The model started to answer. model: its full id."""

    model: str


class TextEvent(Struct, frozen=True):
    """The next part of the answer, or of the model's thinking."""

    text: str


class ToolStartEvent(Struct, frozen=True):
    """A tool call starts. input: its arguments, shortened to one line."""

    id: str
    name: str
    input: str


class ToolOutputEvent(Struct, frozen=True):
    """Output of a tool's command."""

    id: str
    stream: Literal["stdout", "stderr"]
    text: str


class ToolEndEvent(Struct, frozen=True):
    """A tool call ended. content: the text of the result that the model receives."""

    id: str
    name: str
    is_error: bool
    content: str


class OutputEvent(Struct, frozen=True):
    """Output of a command."""

    stream: Literal["stdout", "stderr"]
    text: str


encoder = msgspec.json.Encoder()
