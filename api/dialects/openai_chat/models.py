"""The structs of chat completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/chat)."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import NULL, FunctionCall, FunctionDefinition, StreamOptions
from api.dialects.openai_common import ChatUsage

type FinishReason = Literal["stop", "length", "tool_calls", "function_call", "content_filter"]


class CustomToolCall(Struct, frozen=True):
    """The custom tool of a call. input: free text."""

    name: str = ""
    input: str = ""


class ToolCallIn(Struct, frozen=True):
    """A call in the history."""

    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    custom: CustomToolCall | None = None


TOOL_CALL_DECODER = TaggedStructDecoder(
    ToolCallIn,
    "type",
    {"": ("id", "function", "custom"), "function": ("id", "function"), "custom": ("id", "custom")},
)


class ChatMessage(Struct, frozen=True):
    """A message of the request; which fields it has depends on its role. content, tool_calls: read where understood.

    content: null and absent mean that it says nothing. name: the model is not told.
    """

    role: str | None = None
    content: msgspec.Raw = NULL
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None


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
    """How hard to think, and whether to tell of it, as other gateways name it. exclude: think, but do not tell."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class JsonSchemaFormat(Struct, frozen=True):
    """The schema of the answer."""

    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = NULL
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    """The form of the answer. schema: where lenient clients put it."""

    type: str
    json_schema: JsonSchemaFormat | None = None
    schema: msgspec.Raw = NULL


class ChatCompletionRequest(Struct, frozen=True):
    """The body of POST /v1/chat/completions, as far as it is supported; `api.conversation.parameters` has the table of the rest."""

    messages: list[msgspec.Raw] = msgspec.field(default_factory=list[msgspec.Raw])
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = NULL
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | FunctionCall | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningOptions | None = None
    include_reasoning: bool | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    max_budget_usd: float | None = None


class ChatInputItems(Struct, frozen=True):
    """What some clients send in the place of messages: the input of a Responses body."""

    input: str | list[msgspec.Raw]


class FunctionOut(Struct, frozen=True, omit_defaults=True):
    """The function of a call, or the next piece of its arguments. arguments: JSON, as text."""

    arguments: str
    name: str | UnsetType = UNSET


class CustomOut(Struct, frozen=True, omit_defaults=True):
    """The custom tool of a call. input: free text."""

    input: str
    name: str | UnsetType = UNSET


class ToolCallOut(Struct, frozen=True, omit_defaults=True):
    """A call of the answer, or the next piece of one; index counts the calls of an answer, in streams only."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionOut | UnsetType = UNSET
    custom: CustomOut | UnsetType = UNSET


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The assistant's message. reasoning_content: the model's thinking, as far as it is shown."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallOut] | UnsetType = UNSET
    function_call: FunctionOut | UnsetType = UNSET


class ChatChoice(Struct, frozen=True):
    """One answer."""

    message: AnswerMessage
    finish_reason: FinishReason
    index: int = 0
    logprobs: None = None


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """A whole answer. created: seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


class Delta(Struct, frozen=True, omit_defaults=True):
    """What a chunk adds."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallOut] | UnsetType = UNSET
    function_call: FunctionOut | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True):
    """The part of a chunk that belongs to one answer."""

    delta: Delta
    finish_reason: FinishReason | None = None
    index: int = 0
    logprobs: None = None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer. usage: absent unless it was asked for, null in all chunks but the last."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | UnsetType | None = UNSET


class ModelObject(Struct, frozen=True, kw_only=True):
    """A model, as GET /v1/models lists it. created: seconds since 1970."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Struct, frozen=True, kw_only=True):
    """The models there are."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


encoder = msgspec.json.Encoder()
