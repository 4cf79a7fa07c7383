"""The structs of requests for chat completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/chat)."""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.fields import EFFORT_NAMES
from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import FunctionCall, FunctionDefinition
from api.conversation.tools import MAX_TOOLS
from api.core.schema import TokenLimit, content_of, doc, like, raw_field, ref
from api.dialects.openai_common import FormatType, IncludeUsage, JsonSchemaFormat, StopTexts, ToolRequest


class CustomToolCall(Struct, frozen=True):
    """A call of a custom tool: its name and input."""

    name: Annotated[str, doc("The name of the tool.")] = ""
    input: Annotated[str, doc("The input, as free text.")] = ""


class ToolCallIn(Struct, frozen=True):
    """A tool call by the assistant."""

    id: Annotated[str | None, doc("The id of the call, from the answer.", minLength=1)] = None
    type: Annotated[str | None, doc("`function` or `custom`.")] = None
    function: Annotated[FunctionCall | None, doc("For `function`: the called function.")] = None
    custom: Annotated[CustomToolCall | None, doc("For `custom`: the called tool.")] = None


TOOL_CALL_DECODER = TaggedStructDecoder(
    ToolCallIn,
    "type",
    {"": ("id", "function", "custom"), "function": ("id", "function"), "custom": ("id", "custom")},
)


class ChatMessage(Struct, frozen=True):
    """One message of the conversation."""

    role: Annotated[
        str | None,
        doc(
            "The author. A `tool` message is the result of a call (`function` is the legacy form).",
            enum=["system", "developer", "user", "assistant", "tool", "function"],
        ),
    ] = None
    content: Annotated[msgspec.Raw, doc("A text, or parts in order.", anyOf=content_of("Part"))] = raw_field()
    refusal: Annotated[str | None, doc("A refusal by the assistant; used as the text if `content` is empty.")] = None
    name: Annotated[
        str | None, doc("Ignored: the model does not see it. The response lists it in `x-ignored-parameters`.")
    ] = None
    tool_calls: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tool calls by the assistant. Each call needs one `tool` message, anywhere after it.",
            items=ref("ToolCallIn"),
        ),
    ] = None
    tool_call_id: Annotated[str | None, doc("For `tool`: the id of the call.")] = None
    function_call: Annotated[FunctionCall | None, doc("The legacy form of `tool_calls`.")] = None


MESSAGE_DECODER = TaggedStructDecoder(
    ChatMessage,
    "role",
    {
        **dict.fromkeys(("system", "developer", "user"), ("content",)),
        "assistant": ("content", "refusal", "tool_calls", "function_call"),
        **dict.fromkeys(("tool", "function"), ("content", "tool_call_id")),
    },
)


class ReasoningOptions(Struct, frozen=True):
    """Reasoning options, as other gateways define them."""

    effort: Annotated[str | None, doc("As `reasoning_effort`.", enum=[*EFFORT_NAMES, None])] = None
    max_tokens: Annotated[
        int | None, doc("A budget for thinking, in tokens; it determines the effort if `effort` is absent.", minimum=0)
    ] = None
    enabled: Annotated[bool | None, doc("`false` means `effort: none`.")] = None
    exclude: Annotated[bool | None, doc("`true`: the answer does not contain the thinking.")] = None
    summary: Annotated[
        str | None, doc("Every value except `none`: the answer contains the thinking that the service shows.")
    ] = None


class ResponseFormat(Struct, frozen=True):
    """The format of the answer's text."""

    type: FormatType
    json_schema: Annotated[JsonSchemaFormat | None, doc("For `json_schema`: the schema.")] = None
    schema: Annotated[
        msgspec.Raw, doc("The schema, as some clients send it instead of `json_schema.schema`.", type="object")
    ] = raw_field()


class ChatCompletionRequest(ToolRequest, frozen=True, kw_only=True):
    """A conversation, and options for the answer.

    `null` is the same as an absent field. Unknown fields are ignored.
    """

    messages: Annotated[
        list[Annotated[msgspec.Raw, like("ChatMessage")]],
        doc(
            "The conversation, oldest message first. `system` and `developer` messages before all others form the system prompt, in order; later ones keep their position.",
            minItems=1,
        ),
    ] = msgspec.field(default_factory=list[msgspec.Raw])
    stream_options: IncludeUsage = None
    max_tokens: Annotated[
        TokenLimit | None,
        doc(
            "The most output tokens, thinking included, which the service enforces. A truncated answer has `finish_reason: length`."
        ),
    ] = None
    max_completion_tokens: Annotated[TokenLimit | None, doc("The newer name of `max_tokens`; it takes precedence.")] = (
        None
    )
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tools that the model may call, with their names, descriptions and schemas. A call ends the answer; send its result as a `tool` message in the next request.",
            items=ref("ToolDefinition"),
            maxItems=MAX_TOOLS,
        ),
    ] = None
    functions: Annotated[
        list[FunctionDefinition] | None,
        doc("The legacy form of `tools`; the answer then contains `function_call`.", maxItems=MAX_TOOLS),
    ] = None
    function_call: Annotated[str | FunctionCall | None, doc("The legacy form of `tool_choice`, for `functions`.")] = (
        None
    )
    response_format: Annotated[
        ResponseFormat | None,
        doc("The format of the answer's text. With a schema, `content` is only JSON that is valid against the schema."),
    ] = None
    reasoning_effort: Annotated[
        str | None,
        doc(
            "How much the model thinks before it answers; `none` and `minimal` mean the CLI's `low`. The answer then contains the thinking that the service shows, as `reasoning_content`.",
            enum=[*EFFORT_NAMES, None],
        ),
    ] = None
    reasoning: Annotated[
        ReasoningOptions | None,
        doc("Reasoning options, as other gateways define them. `reasoning_effort` takes precedence."),
    ] = None
    include_reasoning: Annotated[
        bool | None, doc("Whether the answer contains the thinking that the service shows, as `reasoning_content`.")
    ] = None
    stop: StopTexts = None
    n: Annotated[int | None, doc("The number of answers.")] = None


class ChatInputItems(Struct, frozen=True):
    """The input of a Responses body, which some clients send instead of messages."""

    input: str | list[msgspec.Raw]
