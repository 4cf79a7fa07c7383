"""The structs of requests for chat completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/chat)."""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.fields import EFFORT_NAMES, MAX_STOP_SEQUENCES
from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import TOOL_CHOICES, FunctionCall, FunctionDefinition, StreamOptions
from api.conversation.tools import MAX_TOOLS
from api.core.schema import TOKENS, US_DOLLARS, content_of, doc, like, raw_field, ref


class CustomToolCall(Struct, frozen=True):
    """A custom tool and its input."""

    name: Annotated[str, doc("The tool's name.")] = ""
    input: Annotated[str, doc("Free text.")] = ""


class ToolCallIn(Struct, frozen=True):
    """A tool call of the assistant."""

    id: Annotated[str | None, doc("Its id, as the answer had it.", minLength=1)] = None
    type: Annotated[str | None, doc("`function` or `custom`.")] = None
    function: Annotated[FunctionCall | None, doc("The function called.")] = None
    custom: Annotated[CustomToolCall | None, doc("The custom tool called.")] = None


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
            "Who says it. `tool` brings the result of a call (`function` is its legacy form).",
            enum=["system", "developer", "user", "assistant", "tool", "function"],
        ),
    ] = None
    content: Annotated[msgspec.Raw, doc("What is said: a text, or parts in their order.", anyOf=content_of("Part"))] = (
        raw_field()
    )
    refusal: Annotated[str | None, doc("An assistant's refusal; read as its text if it has no other.")] = None
    name: Annotated[
        str | None, doc("Without effect: the model is not told. The response names it in `x-ignored-parameters`.")
    ] = None
    tool_calls: Annotated[
        list[msgspec.Raw] | None,
        doc("The calls an assistant made. Each needs one `tool` message, anywhere after it.", items=ref("ToolCallIn")),
    ] = None
    tool_call_id: Annotated[str | None, doc("In a `tool` message: the call that this is the result of.")] = None
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
    """How hard to think."""

    effort: Annotated[str | None, doc("As `reasoning_effort`.", enum=[*EFFORT_NAMES, None])] = None
    max_tokens: Annotated[
        int | None, doc("A budget for thinking; it sets the effort where none is named.", minimum=0)
    ] = None
    enabled: Annotated[bool | None, doc("`false` is `effort: none`.")] = None
    exclude: Annotated[bool | None, doc("`true`: think, but don't show it.")] = None
    summary: Annotated[str | None, doc("Anything but `none`: show what is shown of the thoughts.")] = None


class JsonSchemaFormat(Struct, frozen=True):
    """The JSON Schema of the answer."""

    name: Annotated[str | None, doc("Accepted; only for people.")] = None
    description: Annotated[
        str | None, doc("What the answer is for. Without effect, unless the schema says it too.")
    ] = None
    schema: Annotated[msgspec.Raw, doc("Any root will do, lists and unions too.", type="object")] = raw_field()
    strict: Annotated[bool | None, doc("Accepted; the answer always meets the schema.")] = None


class ResponseFormat(Struct, frozen=True):
    """The format of the answer's text."""

    type: Annotated[
        str, doc("`text`, any JSON object, or JSON by a schema.", enum=["text", "json_object", "json_schema"])
    ]
    json_schema: Annotated[JsonSchemaFormat | None, doc("For `json_schema`.")] = None
    schema: Annotated[msgspec.Raw, doc("Where lenient clients put the schema.", type="object")] = raw_field()


class ChatCompletionRequest(Struct, frozen=True):
    """A conversation, and how to answer it.

    `null` is the same as leaving a field out; fields that are not listed here are accepted and ignored.
    """

    messages: Annotated[
        list[Annotated[msgspec.Raw, like("ChatMessage")]],
        doc(
            "The conversation, oldest first. `system` and `developer` messages before all others are the system prompt, in their order; later ones stay where they are.",
            minItems=1,
        ),
    ] = msgspec.field(default_factory=list[msgspec.Raw])
    model: Annotated[
        str | None,
        doc(
            "A name of GET /v1/models; DEFAULT_MODEL without one. Full ids, `haiku`, `sonnet` and `opus`, well-known names such as `gpt-4o`, and those that the server's owner added with MODEL_ALIASES."
        ),
    ] = None
    stream: Annotated[bool | None, doc("Send the answer as it is written, as server-sent events.")] = None
    stream_options: Annotated[
        StreamOptions | None, doc("Only with `stream: true`. `include_usage` asks for a last chunk with the tokens.")
    ] = None
    max_tokens: Annotated[
        int | None,
        doc(
            "The most tokens that may be written, thinking included. An answer that is cut short ends with `finish_reason: length`.",
            **TOKENS,
        ),
    ] = None
    max_completion_tokens: Annotated[int | None, doc("The newer name, which wins over `max_tokens`.", **TOKENS)] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tools the model may call, with their names, descriptions and schemas. A call ends the answer; its result comes as a `tool` message of the next request.",
            items=ref("ToolDefinition"),
            maxItems=MAX_TOOLS,
        ),
    ] = None
    tool_choice: Annotated[
        msgspec.Raw,
        doc(
            "Whether a tool may (`auto`), must not (`none`) or must (`required`, or a named one) be called, or which of them may be.",
            anyOf=TOOL_CHOICES,
        ),
    ] = raw_field()
    parallel_tool_calls: Annotated[
        bool | None, doc("Whether one answer may hold several calls; `true` if left out.")
    ] = None
    functions: Annotated[
        list[FunctionDefinition] | None,
        doc("The legacy form of `tools`; the answer then has `function_call`.", maxItems=MAX_TOOLS),
    ] = None
    function_call: Annotated[str | FunctionCall | None, doc("The legacy form of `tool_choice`, for `functions`.")] = (
        None
    )
    response_format: Annotated[
        ResponseFormat | None,
        doc(
            "The form of the answer's text. With a schema, `content` is JSON that is valid against it, and nothing else."
        ),
    ] = None
    reasoning_effort: Annotated[
        str | None,
        doc(
            "How hard to think before answering. What is shown of the thoughts then comes as `reasoning_content`.",
            enum=[*EFFORT_NAMES, None],
        ),
    ] = None
    reasoning: Annotated[
        ReasoningOptions | None, doc("How hard to think, as other gateways have it. `reasoning_effort` wins.")
    ] = None
    include_reasoning: Annotated[
        bool | None, doc("`true`: show what is shown of the thoughts, as `reasoning_content`; `false`: don't.")
    ] = None
    stop: Annotated[
        str | list[str] | None,
        doc("A text, or several, that end the answer just before them.", maxItems=MAX_STOP_SEQUENCES),
    ] = None
    n: Annotated[int | None, doc("How many answers are wanted.")] = None
    max_budget_usd: Annotated[
        float | None,
        doc("What the answer may cost, in US dollars; one that would cost more fails with 402.", **US_DOLLARS),
    ] = None


class ChatInputItems(Struct, frozen=True):
    """The input of a Responses body, which some clients send instead of messages."""

    input: str | list[msgspec.Raw]
