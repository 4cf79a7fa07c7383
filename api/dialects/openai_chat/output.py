"""The structs of chat completions and of the list of models (https://platform.openai.com/docs/api-reference/chat/object)."""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc
from api.dialects.openai_common import ChatUsage

type FinishReason = Literal["stop", "length", "tool_calls", "function_call", "content_filter"]


class FunctionOut(Struct, frozen=True, omit_defaults=True):
    """A call of a function: its name and arguments."""

    arguments: Annotated[str, doc("The arguments: JSON, as text; in a stream, the next part of it.")]
    name: Annotated[str | UnsetType, doc("The name, exactly as in the request.")] = UNSET


class CustomOut(Struct, frozen=True, omit_defaults=True):
    """A call of a custom tool: its name and input."""

    input: Annotated[str, doc("The input, as free text; in a stream, the next part of it.")]
    name: Annotated[str | UnsetType, doc("The name, exactly as in the request.")] = UNSET


class ToolCallOut(Struct, frozen=True, omit_defaults=True):
    """A tool call; in a stream, a part of one."""

    index: Annotated[int | UnsetType, doc("In a stream: the index of the call in the answer, from 0.")] = UNSET
    id: Annotated[str | UnsetType, doc("The id of the call; in a stream, only in its first part.")] = UNSET
    type: Annotated[Literal["function", "custom"] | UnsetType, doc("`function` or `custom`.")] = UNSET
    function: Annotated[FunctionOut | UnsetType, doc("The function to call.")] = UNSET
    custom: Annotated[CustomOut | UnsetType, doc("The custom tool to call.")] = UNSET


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The assistant's message. Send it back unchanged in the next request."""

    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    content: Annotated[str | None, doc("The text; null if the message has only calls or a refusal.")]
    refusal: Annotated[str | None, doc("The model's explanation if it refused to answer in the requested format.")] = (
        None
    )
    reasoning_content: Annotated[str | UnsetType, doc("The model's thinking, as far as the service shows it.")] = UNSET
    tool_calls: Annotated[list[ToolCallOut] | UnsetType, doc("The tool calls; send one `tool` message for each.")] = (
        UNSET
    )
    function_call: Annotated[
        FunctionOut | UnsetType, doc("The legacy form of `tool_calls`, if the request had `functions`.")
    ] = UNSET


class ChatChoice(Struct, frozen=True):
    """One answer."""

    message: Annotated[AnswerMessage, doc("The assistant's message.")]
    finish_reason: Annotated[
        FinishReason,
        doc(
            "Why the answer ended: `stop`: it is complete or reached a `stop` text; `length`: it reached the token limit; `tool_calls` or `function_call`: it calls tools; `content_filter`: the service refused to continue."
        ),
    ]
    index: Annotated[int, doc("The index of the answer, from 0.")] = 0
    logprobs: Annotated[None, doc("Always null.")] = None


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """A complete answer."""

    id: Annotated[str, doc("The id of the answer.", pattern="^chatcmpl-")]
    object: Annotated[Literal["chat.completion"], doc("The type of the object.")] = "chat.completion"
    created: Annotated[int, doc("When the answer started, in seconds since 1970.")]
    model: Annotated[str, doc("The full id of the model that answered.")]
    choices: Annotated[list[ChatChoice], doc("The answers; `n` determines their number.", minItems=1)]
    usage: Annotated[ChatUsage, doc("The token usage of all answers.")]


class Delta(Struct, frozen=True, omit_defaults=True):
    """The next part of the message. Join the parts."""

    role: Annotated[Literal["assistant"] | UnsetType, doc("Only in the first chunk.")] = UNSET
    content: Annotated[str | UnsetType, doc("The next part of the text.")] = UNSET
    refusal: Annotated[str | UnsetType, doc("The next part of the refusal.")] = UNSET
    reasoning_content: Annotated[str | UnsetType, doc("The next part of the thinking.")] = UNSET
    tool_calls: Annotated[
        list[ToolCallOut] | UnsetType,
        doc("The next parts of the calls; parts with the same `index` belong to the same call."),
    ] = UNSET
    function_call: Annotated[FunctionOut | UnsetType, doc("The legacy form of `tool_calls`.")] = UNSET


class ChunkChoice(Struct, frozen=True):
    """The next part of one answer."""

    delta: Annotated[Delta, doc("The next part of the message.")]
    finish_reason: Annotated[FinishReason | None, doc("Why the answer ended; null until then.")] = None
    index: Annotated[int, doc("The index of the answer, from 0.")] = 0
    logprobs: Annotated[None, doc("Always null.")] = None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """A chunk of a streamed answer. The role is sent once, first; the finish reason is sent once, last."""

    id: Annotated[str, doc("The id of the answer, the same in every chunk.", pattern="^chatcmpl-")]
    object: Annotated[Literal["chat.completion.chunk"], doc("The type of the object.")] = "chat.completion.chunk"
    created: Annotated[int, doc("When the answer started, in seconds since 1970.")]
    model: Annotated[str, doc("The full id of the model that answers.")]
    choices: Annotated[list[ChunkChoice], doc("The next parts of the answers; empty in the last chunk with `usage`.")]
    usage: Annotated[
        ChatUsage | UnsetType | None,
        doc("Only with `include_usage`: the token usage of all answers in the last chunk, null in the others."),
    ] = UNSET


class ModelObject(Struct, frozen=True, kw_only=True):
    """A model."""

    id: Annotated[str, doc("The name to send as `model`.")]
    object: Annotated[Literal["model"], doc("The type of the object.")] = "model"
    created: Annotated[int, doc("Always 0; this server does not know release dates.")]
    owned_by: Annotated[str, doc("`anthropic`, or `claude-api-server` for an alias.")]


class ModelList(Struct, frozen=True, kw_only=True):
    """All names that a request may use."""

    object: Annotated[Literal["list"], doc("The type of the object.")] = "list"
    data: Annotated[list[ModelObject], doc("The models.")]
