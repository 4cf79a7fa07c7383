"""The one canonical request: every way in becomes a Turn, and nothing behind it knows which way that was.

Law: a Turn holds what the client said, as what it is. Roles, order and bytes are the client's; nothing is merged into
a prompt and nothing is invented.
"""

from typing import Literal

from msgspec import Struct

type Role = Literal["user", "assistant"]


class Text(Struct, frozen=True, tag="text", tag_field="type"):
    """Words, byte for byte as the client sent them."""

    text: str


type Block = Text


class Message(Struct, frozen=True):
    """One turn of a conversation; consecutive messages of one role are allowed."""

    role: Role
    content: tuple[Block, ...]


class Turn(Struct, frozen=True):
    """A conversation that waits for the model's next message.

    model: what the CLI is asked for: an alias of its own (`sonnet`) or a full id (`claude-…`).
    system: the system texts, in order; the CLI joins them with a blank line.
    messages: the conversation, oldest first; at least one block with text in it.
    max_tokens: the most the model may write, in tokens; None leaves it to the CLI.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    max_tokens: int | None = None
