"""The one canonical request: every way in becomes a Turn, and nothing behind it knows which way that was.

Law: a Turn holds what the client said, as what it is. Roles, order, ids and bytes are the client's; nothing is merged
into a prompt and nothing is invented. JSON of the client's (schemas, arguments) travels as its own text, so that no
number and no order of keys is lost.
"""

from typing import Literal

from msgspec import Struct

type Role = Literal["user", "assistant", "system"]
type Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Text(Struct, frozen=True, tag="text", tag_field="type"):
    """Words, byte for byte as the client sent them."""

    text: str


class Image(Struct, frozen=True, tag="image", tag_field="type"):
    """A picture. media_type: image/png, image/jpeg, image/gif or image/webp. data: base64."""

    media_type: str
    data: str


class Document(Struct, frozen=True, tag="document", tag_field="type"):
    """A file to read. media_type: application/pdf (data is base64) or text/plain (data is the text itself).

    context: what the client says of it beside its title.
    """

    media_type: str
    data: str
    title: str | None = None
    context: str | None = None


class Thinking(Struct, frozen=True, tag="thinking", tag_field="type"):
    """What the assistant thought, as it was given out. signature: the service's own, which proves it unchanged."""

    text: str
    signature: str


class RedactedThinking(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """What the assistant thought, readable by the service only."""

    data: str


class ToolUse(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A call the assistant made. arguments: a JSON object, as text; or what the model wrote in its place, unreadable."""

    id: str
    name: str
    arguments: str


class ToolResult(Struct, frozen=True, tag="tool_result", tag_field="type"):
    """What a call brought; part of a user message."""

    tool_use_id: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False


type Block = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolResult


class Message(Struct, frozen=True):
    """One turn of a conversation; consecutive messages of one role are allowed.

    A system message is an instruction given in the middle of a conversation: text only. Instructions from before the
    first message belong to `Turn.system`.
    """

    role: Role
    content: tuple[Block, ...]


class Tool(Struct, frozen=True):
    """A tool the client offers, under the client's own name. schema: the JSON Schema of its arguments, as text."""

    name: str
    description: str
    schema: str


class Turn(Struct, frozen=True):
    """A conversation that waits for the model's next message.

    model: what the CLI is asked for: an alias of its own (`sonnet`) or a full id (`claude-…`).
    system: the system texts, in order; the CLI joins them with a blank line.
    messages: the conversation, oldest first; at least one block that says something.
    max_tokens: the most the model may write, in tokens; None leaves it to the CLI.
    tools: what the model may call; the answer then ends with the call, and the client brings the result.
    tool_choice: whether it may (auto), must not (none) or must (any, or the name in forced_tool) call one.
    parallel_tools: whether one answer may hold several calls.
    schema: the JSON Schema that the whole answer must meet, as text.
    stop: texts that end the answer before them.
    thinking_words: whether the model's thinking is given out with its words. Without them its signature stands for an
    empty text, so that a client can send the block back as it got it.
    max_budget_usd: what the answer may cost, in US dollars.
    held: a call does not end the answer; whoever asked brings its result, and the model goes on.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[str, ...] = ()
    max_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "any", "tool"] = "auto"
    forced_tool: str | None = None
    parallel_tools: bool = True
    schema: str | None = None
    effort: Effort | None = None
    stop: tuple[str, ...] = ()
    include_thinking_text: bool = True
    max_budget_usd: float | None = None
    interactive: bool = False
