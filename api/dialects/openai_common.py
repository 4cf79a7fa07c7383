"""What the answers of OpenAI's APIs have in common: how tokens are counted, and the envelope of errors. Pure.

(https://platform.openai.com/docs/api-reference/chat/object, https://platform.openai.com/docs/guides/error-codes)
"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.core.problems import Problem
from shared.events import Done

DONE_EVENT = b"data: [DONE]\n\n"


class PromptDetails(Struct, frozen=True):
    """Where the prompt's tokens came from: read from the cache, written to it."""

    cached_tokens: int
    cache_write_tokens: int


class CompletionDetails(Struct, frozen=True):
    """What the completion's tokens were spent on."""

    reasoning_tokens: int


class ChatUsage(Struct, frozen=True):
    """Tokens. prompt_tokens includes those read from and written to the cache. cost_usd: the CLI's estimate."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
    cost_usd: float | UnsetType = UNSET


class ErrorBody(Struct, frozen=True):
    """What went wrong, as OpenAI's libraries read it."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Struct, frozen=True):
    """The body of every error."""

    error: ErrorBody


encoder = msgspec.json.Encoder()


def build_usage(answers: Sequence[Done]) -> ChatUsage:
    """Tokens of all answers as OpenAI counts them: what was read from or written to the cache is part of the prompt."""
    counted = [done.usage for done in answers]
    costs = [done.cost_usd for done in answers if done.cost_usd is not None]
    prompt = sum(part.input_tokens + part.cache_read_tokens + part.cache_write_tokens for part in counted)
    completion = sum(part.output_tokens for part in counted)
    return ChatUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptDetails(
            cached_tokens=sum(part.cache_read_tokens for part in counted),
            cache_write_tokens=sum(part.cache_write_tokens for part in counted),
        ),
        completion_tokens_details=CompletionDetails(sum(part.reasoning_tokens for part in counted)),
        cost_usd=round(sum(costs), 6) if costs else UNSET,
    )


def to_error_type(status: int, code: str) -> str:
    """OpenAI's type for an error."""
    if code == "insufficient_quota":
        return "insufficient_quota"
    match status:
        case 401:
            return "authentication_error"
        case 403:
            return "permission_error"
        case 429:
            return "rate_limit_error"
        case _ if status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"


def render_error(problem: Problem) -> bytes:
    """An error in OpenAI's envelope."""
    body = ErrorBody(problem.message, to_error_type(problem.status, problem.code), problem.param, problem.code)
    return encoder.encode(ErrorEnvelope(body))
