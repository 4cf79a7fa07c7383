"""The JSON of Anthropic's messages, as clients send it and as they get it.

Law: what is not declared here is accepted and means nothing, unless `api.dialects.anthropic.parameters` says otherwise.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType


class InputMessage(Struct, frozen=True):
    """A message of the conversation.

    content: blocks are decoded by their types. clear_at: how long a system message holds. output_config: of a system
    message, the effort from there on.
    """

    role: str
    content: str | list[Raw] | UnsetType = UNSET
    clear_at: object = None
    output_config: object = None


class InputTool(Struct, frozen=True):
    """A tool of the client's on offer."""

    name: str = ""
    description: str | None = None
    input_schema: Raw = Raw(b"null")
    strict: bool | None = None


class ToolChoice(Struct, frozen=True):
    """How the tools may be used."""

    type: str
    name: object = None
    disable_parallel_tool_use: bool | None = None


class ThinkingOptions(Struct, frozen=True):
    """Whether the model thinks, and whether that is shown. budget_tokens: of the type `enabled`, a number."""

    type: str
    budget_tokens: object = None
    display: str | None = None


class OutputFormat(Struct, frozen=True):
    """The form of the answer."""

    type: str
    schema: Raw = Raw(b"null")


class OutputConfig(Struct, frozen=True):
    """How hard the model works, and the form of its answer."""

    effort: str | None = None
    format: OutputFormat | None = None


class MessagesRequest(Struct, frozen=True):
    """The body of POST /v1/messages and of /v1/messages/count_tokens, as far as it is supported."""

    messages: list[InputMessage]
    model: str | None = None
    max_tokens: int | None = None
    system: str | list[Raw] | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoice | None = None
    stop_sequences: list[str] | None = None
    thinking: ThinkingOptions | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    stream: bool | None = None


class MessageUsage(Struct, frozen=True):
    """Tokens. input_tokens excludes what was read from the cache or written to it."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int


class TextOut(Struct, frozen=True, tag="text", tag_field="type"):
    """Words of the answer."""

    text: str


class ThinkingOut(Struct, frozen=True, tag="thinking", tag_field="type"):
    """What the model thought."""

    thinking: str
    signature: str


class RedactedOut(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """What the model thought, readable by the service only."""

    data: str


class ToolUseOut(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A call of the model's."""

    id: str
    name: str
    input: Raw


type BlockOut = TextOut | ThinkingOut | RedactedOut | ToolUseOut


class MessageOut(Struct, frozen=True, kw_only=True):
    """The answer: a message of the assistant's."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[BlockOut]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class ErrorDetail(Struct, frozen=True):
    """What went wrong. details: what a program may act on."""

    type: str
    message: str
    details: dict[str, object] | UnsetType = UNSET


class ErrorMessage(Struct, frozen=True, kw_only=True):
    """The body of every error."""

    type: Literal["error"] = "error"
    error: ErrorDetail
    request_id: str | None


class TokenCount(Struct, frozen=True):
    """An estimate of a request's tokens."""

    input_tokens: int


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model. created_at: the epoch, since release dates are not known here."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str = "1970-01-01T00:00:00Z"


class ModelPage(Struct, frozen=True):
    """A page of the models there are."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


encoder = msgspec.json.Encoder()
