"""The structs of chat completions' answers and models (https://platform.openai.com/docs/api-reference/chat/object)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc
from api.dialects.openai_common import ChatUsage

type FinishReason = Literal["stop", "length", "tool_calls", "function_call", "content_filter"]


class FunctionOut(Struct, frozen=True, omit_defaults=True):
    """A function and its arguments."""

    arguments: Annotated[str, doc("JSON, as text; in a stream, the next piece of it.")]
    name: Annotated[str | UnsetType, doc("The name, exactly as it was offered.")] = UNSET


class CustomOut(Struct, frozen=True, omit_defaults=True):
    """A custom tool and its input."""

    input: Annotated[str, doc("Free text.")]
    name: Annotated[str | UnsetType, doc("The name, exactly as it was offered.")] = UNSET


class ToolCallOut(Struct, frozen=True, omit_defaults=True):
    """A call; in a stream, a piece of one."""

    index: Annotated[int | UnsetType, doc("In a stream: which call of the answer this belongs to, from 0.")] = UNSET
    id: Annotated[str | UnsetType, doc("The call's id; in a stream, in its first piece only.")] = UNSET
    type: Annotated[Literal["function", "custom"] | UnsetType, doc("`function` or `custom`.")] = UNSET
    function: Annotated[FunctionOut | UnsetType, doc("The function to call.")] = UNSET
    custom: Annotated[CustomOut | UnsetType, doc("The custom tool to call.")] = UNSET


class AnswerMessage(Struct, frozen=True, kw_only=True):
    """The assistant's message. Send it back unchanged in the next request."""

    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    content: Annotated[str | None, doc("The text; null if there is none beside calls or a refusal.")]
    refusal: Annotated[str | None, doc("Why no answer of the wanted form was given.")] = None
    reasoning_content: Annotated[str | UnsetType, doc("What is shown of the model's thoughts.")] = UNSET
    tool_calls: Annotated[
        list[ToolCallOut] | UnsetType, doc("The tools to call; send one `tool` message for each.")
    ] = UNSET
    function_call: Annotated[FunctionOut | UnsetType, doc("The legacy form, if the request had `functions`.")] = UNSET


class ChatChoice(Struct, frozen=True):
    """One answer."""

    message: Annotated[AnswerMessage, doc("What the model said and called.")]
    finish_reason: Annotated[
        FinishReason,
        doc(
            "Why it ended: it was done or met a `stop` text (`stop`), reached the limit (`length`), calls tools (`tool_calls`, `function_call`), or was held back (`content_filter`)."
        ),
    ]
    index: Annotated[int, doc("Which of the answers this is, from 0.")] = 0
    logprobs: Annotated[None, doc("Always null.")] = None


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """A complete answer."""

    id: Annotated[str, doc("This answer's id.", pattern="^chatcmpl-")]
    object: Annotated[Literal["chat.completion"], doc("What this is.")] = "chat.completion"
    created: Annotated[int, doc("When it began, in seconds since 1970.")]
    model: Annotated[str, doc("The model that answered.")]
    choices: Annotated[list[ChatChoice], doc("The answers, as many as `n` asked for.", minItems=1)]
    usage: Annotated[ChatUsage, doc("The tokens of all answers.")]


class Delta(Struct, frozen=True, omit_defaults=True):
    """The content that a chunk adds. Join the pieces."""

    role: Annotated[Literal["assistant"] | UnsetType, doc("In the first chunk only.")] = UNSET
    content: Annotated[str | UnsetType, doc("More text.")] = UNSET
    refusal: Annotated[str | UnsetType, doc("More of a refusal.")] = UNSET
    reasoning_content: Annotated[str | UnsetType, doc("More thoughts.")] = UNSET
    tool_calls: Annotated[
        list[ToolCallOut] | UnsetType, doc("More of the calls; pieces with one `index` belong together.")
    ] = UNSET
    function_call: Annotated[FunctionOut | UnsetType, doc("The legacy form.")] = UNSET


class ChunkChoice(Struct, frozen=True):
    """The new content of one answer."""

    delta: Annotated[Delta, doc("The piece.")]
    finish_reason: Annotated[FinishReason | None, doc("Why the answer ended; null until it has.")] = None
    index: Annotated[int, doc("Which of the answers this belongs to, from 0.")] = 0
    logprobs: Annotated[None, doc("Always null.")] = None


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer. The role comes first and once, the finish reason last and once."""

    id: Annotated[str, doc("This answer's id, the same in every chunk.", pattern="^chatcmpl-")]
    object: Annotated[Literal["chat.completion.chunk"], doc("What this is.")] = "chat.completion.chunk"
    created: Annotated[int, doc("When the answer began, in seconds since 1970.")]
    model: Annotated[str, doc("The model that answers.")]
    choices: Annotated[list[ChunkChoice], doc("What is new; empty in the last chunk with `usage`.")]
    usage: Annotated[
        ChatUsage | UnsetType | None,
        doc("Only with `include_usage`: null, and in the last chunk the tokens of all answers."),
    ] = UNSET


class ModelObject(Struct, frozen=True, kw_only=True):
    """A model."""

    id: Annotated[str, doc("What to send as `model`.")]
    object: Annotated[Literal["model"], doc("What this is.")] = "model"
    created: Annotated[int, doc("Always 0; release dates are not known here.")]
    owned_by: Annotated[str, doc("`anthropic`, or `claude-api-server` for a name that stands for another.")]


class ModelList(Struct, frozen=True, kw_only=True):
    """Every name that a request may use."""

    object: Annotated[Literal["list"], doc("What this is.")] = "list"
    data: Annotated[list[ModelObject], doc("The models.")]


encoder = msgspec.json.Encoder()
