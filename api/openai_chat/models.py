"""The structs of chat completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/chat)."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

type FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Part(Struct, frozen=True):
    """A part of a message's content; only text so far."""

    type: str
    text: str | None = None


class ChatMessage(Struct, frozen=True):
    """A message of the request. content: None and absent mean that it says nothing."""

    role: str
    content: str | list[Part] | None = None


class StreamOptions(Struct, frozen=True):
    """What a stream has besides the answer."""

    include_usage: bool | None = None


class ChatRequest(Struct, frozen=True):
    """The body of POST /v1/chat/completions, as far as it is honoured; `decode` has the table of the rest."""

    messages: list[ChatMessage]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


class PromptDetails(Struct, frozen=True):
    """Where the prompt's tokens came from: read from the cache, written to it."""

    cached_tokens: int
    cache_write_tokens: int


class ChatUsage(Struct, frozen=True):
    """Tokens. prompt_tokens includes those read from and written to the cache."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class AnswerMessage(Struct, frozen=True):
    """The assistant's message."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: str | None = None


class Choice(Struct, frozen=True):
    """One answer."""

    message: AnswerMessage
    finish_reason: FinishReason
    index: int = 0
    logprobs: None = None


class Completion(Struct, frozen=True, kw_only=True):
    """A whole answer. created: seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    system_fingerprint: str | None = None


class Delta(Struct, frozen=True, omit_defaults=True):
    """What a chunk adds."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True):
    """The part of a chunk that belongs to one answer."""

    delta: Delta
    finish_reason: FinishReason | None = None
    index: int = 0
    logprobs: None = None


class Chunk(Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer. usage: absent unless it was asked for, null in all chunks but the last."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | UnsetType | None = UNSET
    system_fingerprint: str | None = None


class ErrorBody(Struct, frozen=True):
    """What went wrong, as OpenAI's libraries read it."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Struct, frozen=True):
    """The body of every error."""

    error: ErrorBody


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
