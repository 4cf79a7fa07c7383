"""The structs of Anthropic's messages: requests and answers.

Invariants: undeclared fields are accepted and ignored, unless `api.dialects.anthropic.parameters` treats them otherwise.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from api.core.schema import doc, raw_field, ref
from api.dialects.anthropic.blocks import ANY_BLOCK


class InputMessage(Struct, frozen=True):
    """A message of the conversation."""

    role: Annotated[str, doc("`user` or `assistant`; `system` gives instructions, at the beginning or in its place.")]
    content: Annotated[
        str | list[Raw] | UnsetType,
        doc("A text, or blocks. A system message has texts only, or nothing.", items=ANY_BLOCK),
    ] = UNSET
    clear_at: Annotated[
        object,
        doc(
            "`next_user_message`: a system message that holds until the next message of the user's.",
            type=["string", "null"],
        ),
    ] = None
    output_config: Annotated[
        object, doc("Of a system message: the `effort` from there on.", type=["object", "null"])
    ] = None


class InputTool(Struct, frozen=True):
    """A tool that the model may call."""

    name: Annotated[str, doc("Its name, kept to the character.")] = ""
    description: Annotated[str | None, doc("What it is for.")] = None
    input_schema: Annotated[Raw, doc("The JSON Schema of its arguments.")] = raw_field()
    strict: Annotated[bool | None, doc("Whether arguments are given out only if they meet the schema.")] = None


class ToolChoice(Struct, frozen=True):
    """How the tools may be used."""

    type: Annotated[str, doc("`auto`, `any`, `tool` or `none`; any other is taken for `auto` and named.")]
    name: Annotated[object, doc("The tool that must be called, with `tool`.", type=["string", "null"])] = None
    disable_parallel_tool_use: Annotated[bool | None, doc("Whether one answer may hold one call only.")] = None


class ThinkingOptions(Struct, frozen=True):
    """Whether the model's thinking is shown."""

    type: Annotated[str, doc("`enabled`, `adaptive` or `disabled`; any other is taken for the nearest and named.")]
    budget_tokens: Annotated[
        object, doc("Stands for an effort; the models of today take no budget.", type=["integer", "null"])
    ] = None
    display: Annotated[str | None, doc("`summarized` or `omitted`; any other is taken for `summarized` and named.")] = (
        None
    )


class OutputFormat(Struct, frozen=True):
    """The format of the answer."""

    type: Annotated[str, doc("`json_schema`; any other is named and without effect.")]
    schema: Annotated[Raw, doc("The JSON Schema that the whole answer meets.")] = raw_field()


class OutputConfig(Struct, frozen=True):
    """How hard the model works, and the format of its answer."""

    effort: Annotated[
        str | None, doc("`low`, `medium`, `high`, `xhigh` or `max`; any other is the model's own and named.")
    ] = None
    format: Annotated[OutputFormat | None, doc("The form of the answer.")] = None


class MessagesRequest(Struct, frozen=True):
    """A conversation that the assistant continues."""

    messages: Annotated[list[InputMessage], doc("The conversation, oldest first.")]
    model: Annotated[str | None, doc("A name of `GET /v1/models`; without one, the server's default.")] = None
    max_tokens: Annotated[int | None, doc("The most that the model may write, in tokens. Required for an answer.")] = (
        None
    )
    system: Annotated[
        str | list[Raw] | None, doc("Instructions: a text, or blocks of text.", items=ref("TextBlock"))
    ] = None
    tools: Annotated[
        list[Raw] | None,
        doc(
            "Tools that the model may call; you do what they are for and send the results.",
            items={"anyOf": [ref("InputTool"), {"type": "object"}]},
        ),
    ] = None
    tool_choice: Annotated[ToolChoice | None, doc("Whether it may, must or must not call one.")] = None
    stop_sequences: Annotated[list[str] | None, doc("Texts that end the answer before them.")] = None
    thinking: Annotated[ThinkingOptions | None, doc("Whether the model's thinking is shown.")] = None
    output_config: Annotated[OutputConfig | None, doc("How hard the model works, and the form of its answer.")] = None
    output_format: Annotated[OutputFormat | None, doc("The former name of `output_config.format`.")] = None
    stream: Annotated[bool | None, doc("Whether to send the answer as events, as it is written.")] = None


class MessageUsage(Struct, frozen=True):
    """Token counts."""

    input_tokens: Annotated[int, doc("Read, without those of the cache.")]
    cache_creation_input_tokens: Annotated[int, doc("Written to the cache.")]
    cache_read_input_tokens: Annotated[int, doc("Read from the cache.")]
    output_tokens: Annotated[int, doc("Written, thinking included.")]


class TextOut(Struct, frozen=True, tag="text", tag_field="type"):
    """Text of the answer."""

    text: Annotated[str, doc("The words.")]


class ThinkingOut(Struct, frozen=True, tag="thinking", tag_field="type"):
    """The model's thinking. Send it back unchanged in the next request."""

    thinking: Annotated[str, doc("The words.")]
    signature: Annotated[str, doc("The service's signature of them.")]


class RedactedOut(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """Thinking that only the service can read. Send it back unchanged."""

    data: Annotated[str, doc("The thinking.")]


class ToolUseOut(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A call of one of your tools; send a `tool_result` with its id."""

    id: Annotated[str, doc("The call's id.")]
    name: Annotated[str, doc("The tool's name, exactly as it was offered.")]
    input: Annotated[Raw, doc("The arguments, an object.")]


type BlockOut = TextOut | ThinkingOut | RedactedOut | ToolUseOut


class MessageOut(Struct, frozen=True, kw_only=True):
    """The answer."""

    id: Annotated[str, doc("This answer's id.")]
    type: Annotated[Literal["message"], doc("What this is.")] = "message"
    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    model: Annotated[str, doc("The model that answered.")]
    content: Annotated[list[BlockOut], doc("What it said, thought and called.")]
    stop_reason: Annotated[str | None, doc("Why it ended, by the service's own word.")]
    stop_sequence: Annotated[str | None, doc("The text of `stop_sequences` that ended it.")]
    usage: Annotated[MessageUsage, doc("The tokens.")]


class ErrorDetail(Struct, frozen=True):
    """What went wrong."""

    type: Annotated[str, doc("The kind, for programs.")]
    message: Annotated[str, doc("What went wrong and what can be done.")]
    details: Annotated[dict[str, object] | UnsetType, doc("What a program may act on.")] = UNSET


class ErrorMessage(Struct, frozen=True, kw_only=True):
    """An error in Anthropic's envelope."""

    type: Annotated[Literal["error"], doc("What this is.")] = "error"
    error: Annotated[ErrorDetail, doc("What went wrong.")]
    request_id: Annotated[str | None, doc("The request's id.")]


class TokenCount(Struct, frozen=True):
    """An estimate of the input tokens."""

    input_tokens: Annotated[int, doc("About how many tokens the request has.")]


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model. created_at: the epoch, because release dates are not known here."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str = "1970-01-01T00:00:00Z"


class ModelPage(Struct, frozen=True):
    """A page of the models."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


encoder = msgspec.json.Encoder()
