"""A conversation before it is of any API: who said what, what was called and what came of it.

JSON of clients (schemas, arguments) is text, so that numbers, orders of names and what is no JSON stay as they are.
"""

from msgspec import Struct


class Words(Struct, frozen=True):
    """A text."""

    text: str


class Picture(Struct, frozen=True):
    """A picture, by its bytes."""

    media_type: str
    data: bytes


class File(Struct, frozen=True):
    """A PDF or a text."""

    media_type: str
    data: bytes
    name: str | None = None


class Call(Struct, frozen=True, eq=False):
    """A call. id: the client's, which may come again in a later turn; what makes it this one is the value itself."""

    id: str
    name: str
    arguments: str


type Part = Words | Picture | File


class User(Struct, frozen=True):
    """What a user says. content: a string, or parts."""

    content: str | tuple[Part, ...]


class Assistant(Struct, frozen=True):
    """What the model said and called, in this order."""

    content: tuple[Words | Call, ...]


class Result(Struct, frozen=True):
    """What came of a call. content: None, a string, or parts. is_error: where the API can say so."""

    call: Call
    content: str | tuple[Words | Picture, ...] | None
    is_error: bool = False


class Instruction(Struct, frozen=True):
    """A system text."""

    text: str


type Step = User | Assistant | Result | Instruction


class Tool(Struct, frozen=True):
    """A tool on offer. description: unlike every other's, for its name may travel as another. schema: JSON."""

    name: str
    description: str
    schema: str


class Conversation(Struct, frozen=True):
    """system: the instructions before the first message. The last step is a user's, who says something."""

    system: tuple[str, ...]
    steps: tuple[Step, ...]
    tools: tuple[Tool, ...]


def list_parts(content: str | tuple[Part, ...] | None) -> tuple[Part, ...]:
    """The parts of a content of any form."""
    if isinstance(content, str):
        return (Words(content),)
    return content or ()
