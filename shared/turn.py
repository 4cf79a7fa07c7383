"""The canonical request: every dialect decodes its requests to a Turn, and the code behind does not know the dialect.

Invariants: a Turn has the client's content unchanged: roles, order, ids and bytes. Nothing is merged into a prompt, and
nothing is added. The client's JSON (schemas, arguments) stays text, so that no number and no order of keys changes.
"""

from typing import Literal

from msgspec import Struct

type Role = Literal["user", "assistant", "system"]
type Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Text(Struct, frozen=True, tag="text", tag_field="type"):
    """Text, byte for byte as the client sent it."""

    text: str


class Image(Struct, frozen=True, tag="image", tag_field="type"):
    """A picture. media_type: image/png, image/jpeg, image/gif or image/webp. data: base64."""

    media_type: str
    data: str


class Document(Struct, frozen=True, tag="document", tag_field="type"):
    """A file to read. media_type: application/pdf (data is base64) or text/plain (data is the text itself).

    context: a text about it from the client, in addition to its title.
    """

    media_type: str
    data: str
    title: str | None = None
    context: str | None = None


class Thinking(Struct, frozen=True, tag="thinking", tag_field="type"):
    """The assistant's thinking, as the client received it. signature: from the service; proves that it is unchanged."""

    text: str
    signature: str


class RedactedThinking(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """The assistant's thinking, readable by the service only."""

    data: str


class ToolUse(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A tool call of the assistant. arguments: a JSON object, as text; or the invalid text that the model wrote instead."""

    id: str
    name: str
    arguments: str


class ToolResult(Struct, frozen=True, tag="tool_result", tag_field="type"):
    """The result of a tool call; part of a user message."""

    tool_use_id: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False


type Block = Text | Image | Document | Thinking | RedactedThinking | ToolUse | ToolResult


class Message(Struct, frozen=True):
    """A message of a conversation. Consecutive messages of one role are allowed.

    A system message is an instruction in the middle of a conversation: text only. Instructions before the first message
    belong to `Turn.system`.
    """

    role: Role
    content: tuple[Block, ...]


class Tool(Struct, frozen=True):
    """A tool of the client. schema: the JSON Schema of its arguments, as text."""

    name: str
    description: str
    schema: str


class Turn(Struct, frozen=True):
    """A conversation, to be continued by the model's next message.

    model: the model for the CLI: one of its aliases (`sonnet`) or a full id (`claude-…`).
    system: the system texts, in order; the CLI joins them with a blank line.
    messages: the conversation, oldest first; at least one block is not empty.
    max_tokens: the longest answer, in tokens; None leaves it to the CLI.
    tools: the tools that the model may call. A call ends the answer, and the client sends the result with its next request.
    tool_choice: whether the model may (auto), must not (none) or must (any; tool: the one in forced_tool) call a tool.
    parallel_tools: whether one answer may have several calls.
    schema: the JSON Schema of the complete answer, as text.
    stop: the answer ends before any of these texts.
    include_thinking_text: whether the client receives the text of the model's thinking. Without it, the text is empty and
    the signature belongs to the empty text, so that the client can send the block back as it received it.
    max_budget_usd: the highest cost of the answer, in US dollars.
    interactive: a call does not end the answer; the API delivers its result, and the model continues.
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
