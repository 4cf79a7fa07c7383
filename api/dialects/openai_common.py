"""What OpenAI's APIs have in common: fields of requests, token usage and error bodies. Pure.

(https://platform.openai.com/docs/api-reference/chat/object, https://platform.openai.com/docs/guides/error-codes)
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.conversation.fields import MAX_STOP_SEQUENCES
from api.conversation.parts import TOOL_CHOICES
from api.core.problems import Problem
from api.core.schema import Dollars, doc, raw_field
from shared.events import Done

DONE_EVENT = b"data: [DONE]\n\n"
ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# For the API description.
CHUNKS = (
    "The `data` of each event is a chunk as JSON; `[DONE]` follows the last chunk. An error after the start is an event "
    "whose `data` is an error body; it ends the stream. Lines that start with a colon only keep the connection alive."
)


class StreamOptions(Struct, frozen=True):
    """Options of a stream."""

    include_usage: Annotated[bool | None, doc("Whether to send a last chunk with `usage` and without choices.")] = None


# Fields of the requests for chat completions and legacy completions.
IncludeUsage = Annotated[
    StreamOptions | None, doc("Only with `stream: true`. `include_usage` adds a last chunk with the token usage.")
]
StopTexts = Annotated[
    str | list[str] | None,
    doc(
        "A text, or a list of up to 64 texts. The answer ends before the first occurrence of one of them. The server itself matches texts that are only white space.",
        maxItems=MAX_STOP_SEQUENCES,
    ),
]
# A field of the requests for chat completions and responses.
FormatType = Annotated[
    str,
    doc(
        "`text`; `json_object`: any JSON object; `json_schema`: JSON that is valid against a schema.",
        enum=["text", "json_object", "json_schema"],
    ),
]


class OpenAIRequest(Struct, frozen=True, kw_only=True):
    """The fields of every request."""

    model: Annotated[
        str | None,
        doc(
            "A name from GET /v1/models: a full id, `haiku`, `sonnet` or `opus`, a well-known name such as `gpt-4o`, or a name from MODEL_ALIASES. Default: DEFAULT_MODEL."
        ),
    ] = None
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None
    max_budget_usd: Annotated[
        Dollars | None,
        doc(
            "The most that an answer may cost, in US dollars; one that would cost more fails with status 402. The server checks it before each further message of the model, by the cost that the CLI reports."
        ),
    ] = None


class ToolRequest(OpenAIRequest, frozen=True, kw_only=True):
    """The fields of every request that can have tools."""

    tool_choice: Annotated[
        msgspec.Raw,
        doc(
            "Whether the model may (`auto`), must not (`none`) or must (`required`, or a named tool) call a tool, or which tools it may call. The service applies it, except for models that reject a forced call; the server checks the answer.",
            anyOf=TOOL_CHOICES,
        ),
    ] = raw_field()
    parallel_tool_calls: Annotated[
        bool | None,
        doc("Whether one answer may contain several calls. Default: `true`. The server checks the answer."),
    ] = None


class JsonSchemaFormat(Struct, frozen=True, kw_only=True):
    """The JSON Schema of the answer."""

    name: Annotated[str | None, doc("A name for people. Accepted without effect.")] = None
    description: Annotated[
        str | None, doc("The purpose of the answer. Ignored; a `description` in the schema has an effect.")
    ] = None
    schema: Annotated[
        msgspec.Raw, doc("A JSON Schema. The root may have any type, including arrays and unions.", type="object")
    ] = raw_field()
    strict: Annotated[bool | None, doc("Accepted without effect: the answer is always valid against the schema.")] = (
        None
    )


class PromptDetails(Struct, frozen=True):
    """How the prompt tokens relate to the cache."""

    cached_tokens: Annotated[int, doc("Tokens read from the cache.")]
    cache_write_tokens: Annotated[int, doc("Tokens written to the cache.")]


class CompletionDetails(Struct, frozen=True):
    """How the completion tokens were used."""

    reasoning_tokens: Annotated[int, doc("Tokens used for thinking.")]


class ChatUsage(Struct, frozen=True):
    """Token usage."""

    prompt_tokens: Annotated[int, doc("Prompt tokens, including tokens read from and written to the cache.", minimum=0)]
    completion_tokens: Annotated[int, doc("Output tokens, thinking included.", minimum=0)]
    total_tokens: Annotated[int, doc("Prompt and completion tokens together.", minimum=0)]
    prompt_tokens_details: Annotated[PromptDetails, doc("How the prompt tokens relate to the cache.")]
    completion_tokens_details: Annotated[CompletionDetails, doc("How the completion tokens were used.")]
    cost_usd: Annotated[
        float | UnsetType, doc("The cost in US dollars that the Claude Code CLI reported.", minimum=0)
    ] = UNSET


class ErrorBody(Struct, frozen=True):
    """The error, as OpenAI's libraries read it."""

    message: Annotated[str, doc("A sentence for people: what is wrong, and how to fix it.", minLength=1)]
    type: Annotated[str, doc("OpenAI's type of the error.")]
    param: Annotated[
        str | None, doc("The request field that caused the error, such as `messages[2].content[0].image_url`.")
    ]
    code: Annotated[str | None, doc("The error code, for programs; the responses below list the codes.")]


class ErrorEnvelope(Struct, frozen=True):
    """The body of every error, and of an error event in a stream."""

    error: Annotated[ErrorBody, doc("The error.")]


encoder = msgspec.json.Encoder()


def build_usage(answers: Sequence[Done]) -> ChatUsage:
    """Returns the usage of all answers as OpenAI counts it: prompt tokens include tokens read from or written to the cache."""
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
    return ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def render_error(problem: Problem) -> bytes:
    """Returns an error body in OpenAI's format."""
    body = ErrorBody(problem.message, to_error_type(problem.status, problem.code), problem.param, problem.code)
    return encoder.encode(ErrorEnvelope(body))
