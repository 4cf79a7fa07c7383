"""The structs of legacy completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/completions)."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from api.conversation.parts import StreamOptions
from api.dialects.openai_common import ChatUsage

type EndReason = Literal["stop", "length", "content_filter"]


class CompletionRequest(Struct, frozen=True, kw_only=True):
    """The body of POST /v1/completions, as far as it is supported. prompt: tokens are read only to be refused by name."""

    prompt: str | list[str | int | list[int]]
    model: str | None = None
    suffix: str | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_budget_usd: float | None = None


class TextChoice(Struct, frozen=True):
    """A completion; in a stream, a piece of one."""

    text: str
    index: int
    finish_reason: EndReason | None = None
    logprobs: None = None


class TextCompletion(Struct, frozen=True, kw_only=True):
    """A whole answer, or a piece of a streamed one. usage: absent from a stream unless it was asked for."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: ChatUsage | UnsetType | None = UNSET
