"""The request and response bodies of Anthropic's messages.

Invariants: undeclared fields are ignored, unless `api.dialects.anthropic.parameters` says otherwise.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from api.core.schema import doc, raw_field, ref
from api.dialects.anthropic.blocks import ANY_BLOCK, RedactedThinkingBlock, TextBlock


class InputMessage(Struct, frozen=True):
    """A message of the conversation."""

    role: Annotated[
        str,
        doc(
            "`user`, `assistant` or `system`. A `system` message has instructions, at the start or within the conversation."
        ),
    ]
    content: Annotated[
        str | list[Raw] | UnsetType,
        doc("A text, or blocks. A system message has only text blocks, or no content.", items=ANY_BLOCK),
    ] = UNSET
    clear_at: Annotated[
        object,
        doc(
            "`next_user_message`: the system message is valid until the next user message.",
            type=["string", "null"],
        ),
    ] = None
    output_config: Annotated[
        object, doc("In a system message: the `effort` from this message on.", type=["object", "null"])
    ] = None


class InputTool(Struct, frozen=True):
    """A tool that the model may call."""

    name: Annotated[str, doc("The name; calls contain it unchanged.")] = ""
    description: Annotated[str | None, doc("What the tool does and when to call it.")] = None
    input_schema: Annotated[Raw, doc("The JSON Schema of the arguments.")] = raw_field()
    strict: Annotated[
        bool | None, doc("Whether a call is sent only if its arguments are valid against the schema.")
    ] = None


class ToolChoice(Struct, frozen=True):
    """Whether and how the model calls tools."""

    type: Annotated[
        str, doc("`auto`, `any`, `tool` or `none`. Other values mean `auto`, and `x-ignored-parameters` lists them.")
    ]
    name: Annotated[object, doc("For `tool`: the tool that the model must call.", type=["string", "null"])] = None
    disable_parallel_tool_use: Annotated[bool | None, doc("Whether one answer may contain at most one call.")] = None


class ThinkingOptions(Struct, frozen=True):
    """Whether the model thinks, and whether the answer contains its thinking."""

    type: Annotated[
        str,
        doc(
            "`enabled`, `adaptive` or `disabled`, which means the effort `low`. Other values mean the nearest one, and `x-ignored-parameters` lists them."
        ),
    ]
    budget_tokens: Annotated[
        object,
        doc("A budget in tokens. It determines the effort; current models accept no budget.", type=["integer", "null"]),
    ] = None
    display: Annotated[
        str | None,
        doc("`summarized` or `omitted`. Other values mean `summarized`, and `x-ignored-parameters` lists them."),
    ] = None


class OutputFormat(Struct, frozen=True):
    """The format of the answer."""

    type: Annotated[str, doc("`json_schema`. Other values are ignored, and `x-ignored-parameters` lists them.")]
    schema: Annotated[Raw, doc("The JSON Schema of the complete answer.")] = raw_field()


class OutputConfig(Struct, frozen=True):
    """The effort of the model, and the format of its answer."""

    effort: Annotated[
        str | None,
        doc(
            "`low`, `medium`, `high`, `xhigh` or `max`. Other values mean the model's default, and `x-ignored-parameters` lists them."
        ),
    ] = None
    format: Annotated[OutputFormat | None, doc("The format of the answer.")] = None


class MessagesRequest(Struct, frozen=True):
    """A conversation, and options for the assistant's next message."""

    messages: Annotated[list[InputMessage], doc("The conversation, oldest message first.")]
    model: Annotated[str | None, doc("A name from `GET /v1/models`. Default: DEFAULT_MODEL.")] = None
    max_tokens: Annotated[
        int | None,
        doc(
            "The most output tokens, thinking included, at least 1. Required, except for counting tokens. The service rejects more than the model can write."
        ),
    ] = None
    system: Annotated[
        str | list[Raw] | None,
        doc(
            "Instructions: a text, or text blocks. Messages of the role `system` before all others follow them.",
            items=ref("TextBlock"),
        ),
    ] = None
    tools: Annotated[
        list[Raw] | None,
        doc(
            "The tools that the model may call, including bash, text_editor and memory. Your program runs them and sends the results. Server tools are ignored.",
            items={"anyOf": [ref("InputTool"), {"type": "object"}]},
        ),
    ] = None
    tool_choice: Annotated[ToolChoice | None, doc("Whether the model may, must or must not call a tool.")] = None
    stop_sequences: Annotated[
        list[str] | None,
        doc(
            "Texts. The answer ends before the first occurrence of one of them. The server itself matches texts that are only white space."
        ),
    ] = None
    thinking: Annotated[
        ThinkingOptions | None,
        doc(
            "Whether the model thinks, and whether the answer contains its thinking. `budget_tokens` determines the effort; `disabled` means `low`."
        ),
    ] = None
    output_config: Annotated[
        OutputConfig | None, doc("The `effort` of the model, and the `format` of its answer. Other fields are ignored.")
    ] = None
    output_format: Annotated[OutputFormat | None, doc("The former name of `output_config.format`.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None


class MessageUsage(Struct, frozen=True):
    """Token usage."""

    input_tokens: Annotated[int, doc("Input tokens, without tokens read from or written to the cache.")]
    cache_creation_input_tokens: Annotated[int, doc("Tokens written to the cache.")]
    cache_read_input_tokens: Annotated[int, doc("Tokens read from the cache.")]
    output_tokens: Annotated[int, doc("Output tokens, thinking included.")]


class ThinkingOut(Struct, frozen=True, tag="thinking", tag_field="type"):
    """The model's thinking. Send it back unchanged in the next request."""

    thinking: Annotated[str, doc("The text of the thinking.")]
    signature: Annotated[str, doc("The service's signature of the thinking.")]


class ToolUseOut(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A call of one of your tools. Send a `tool_result` with its id."""

    id: Annotated[str, doc("The id of the call.")]
    name: Annotated[str, doc("The name of the tool, exactly as in the request.")]
    input: Annotated[Raw, doc("The arguments: an object.")]


type BlockOut = TextBlock | ThinkingOut | RedactedThinkingBlock | ToolUseOut


class MessageOut(Struct, frozen=True, kw_only=True):
    """The answer."""

    id: Annotated[str, doc("The id of the answer.")]
    type: Annotated[Literal["message"], doc("The type of the object.")] = "message"
    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    model: Annotated[str, doc("The full id of the model that answered.")]
    content: Annotated[list[BlockOut], doc("The text, thinking and tool calls of the model, in order.")]
    stop_reason: Annotated[str | None, doc("Why the answer ended, as the service reported it.")]
    stop_sequence: Annotated[str | None, doc("The text from `stop_sequences` that ended the answer.")]
    usage: Annotated[MessageUsage, doc("The token usage.")]


class ErrorDetail(Struct, frozen=True):
    """An error."""

    type: Annotated[str, doc("Anthropic's type of the error, for programs.")]
    message: Annotated[str, doc("A sentence for people: what is wrong, and how to fix it.")]
    details: Annotated[dict[str, object] | UnsetType, doc("Details of the error, for programs.")] = UNSET


class ErrorMessage(Struct, frozen=True, kw_only=True):
    """The body of an error, and of an error event in a stream."""

    type: Annotated[Literal["error"], doc("The type of the object.")] = "error"
    error: Annotated[ErrorDetail, doc("The error.")]
    request_id: Annotated[str | None, doc("The id of the request.")]


class TokenCount(Struct, frozen=True):
    """An estimate of the input tokens of a request."""

    input_tokens: Annotated[int, doc("The estimated number of input tokens.")]


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model. created_at: the epoch, since this server does not know release dates."""

    type: Literal["model"] = "model"
    id: str
    display_name: str
    created_at: str = "1970-01-01T00:00:00Z"


class ModelPage(Struct, frozen=True):
    """A page of the list of models."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None


encoder = msgspec.json.Encoder()
