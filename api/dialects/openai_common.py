"""What OpenAI's APIs have in common: token counts and the envelope of errors. Pure.

(https://platform.openai.com/docs/api-reference/chat/object, https://platform.openai.com/docs/guides/error-codes)
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.core.problems import Problem
from api.core.schema import doc
from shared.events import Done

DONE_EVENT = b"data: [DONE]\n\n"
# For the API description.
CHUNKS = (
    "Each event's `data` is a chunk as JSON; after the last one comes `[DONE]`. An error on the way is an event whose "
    "`data` is the body of an error, and ends the stream. Lines that start with a colon only keep the connection alive."
)


class PromptDetails(Struct, frozen=True):
    """The prompt tokens that came from or went to the cache."""

    cached_tokens: Annotated[int, doc("Read from the cache.")]
    cache_write_tokens: Annotated[int, doc("Written to the cache.")]


class CompletionDetails(Struct, frozen=True):
    """The completion tokens by use."""

    reasoning_tokens: Annotated[int, doc("On thinking.")]


class ChatUsage(Struct, frozen=True):
    """Token counts."""

    prompt_tokens: Annotated[int, doc("Read: new ones, and those read from and written to the cache.", minimum=0)]
    completion_tokens: Annotated[int, doc("Written, thinking included.", minimum=0)]
    total_tokens: Annotated[int, doc("Both together.", minimum=0)]
    prompt_tokens_details: Annotated[PromptDetails, doc("Of those read.")]
    completion_tokens_details: Annotated[CompletionDetails, doc("Of those written.")]
    cost_usd: Annotated[float | UnsetType, doc("What the Claude Code CLI says it cost, in US dollars.", minimum=0)] = (
        UNSET
    )


class ErrorBody(Struct, frozen=True):
    """An error as OpenAI's libraries read it."""

    message: Annotated[str, doc("A sentence for people, which says what can be done.", minLength=1)]
    type: Annotated[str, doc("OpenAI's class of the error.")]
    param: Annotated[
        str | None, doc("The field of the request that is at fault, such as `messages[2].content[0].image_url`.")
    ]
    code: Annotated[str | None, doc("What programs can act on; the responses below list the codes.")]


class ErrorEnvelope(Struct, frozen=True):
    """The body of every error, and of an error event in a stream."""

    error: Annotated[ErrorBody, doc("What went wrong.")]


encoder = msgspec.json.Encoder()


def build_usage(answers: Sequence[Done]) -> ChatUsage:
    """Returns OpenAI's token counts of all answers. The prompt includes tokens read from and written to the cache."""
    usages = [done.usage for done in answers]
    costs = [done.cost_usd for done in answers if done.cost_usd is not None]
    prompt = sum(usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens for usage in usages)
    completion = sum(usage.output_tokens for usage in usages)
    return ChatUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptDetails(
            cached_tokens=sum(usage.cache_read_tokens for usage in usages),
            cache_write_tokens=sum(usage.cache_write_tokens for usage in usages),
        ),
        completion_tokens_details=CompletionDetails(sum(usage.reasoning_tokens for usage in usages)),
        cost_usd=round(sum(costs), 6) if costs else UNSET,
    )


def to_error_type(status: int, code: str) -> str:
    """Returns OpenAI's type of an error."""
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
    """Renders an error in OpenAI's envelope."""
    body = ErrorBody(problem.message, to_error_type(problem.status, problem.code), problem.param, problem.code)
    return encoder.encode(ErrorEnvelope(body))
