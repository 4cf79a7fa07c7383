"""The structs of responses and of their streams, as OpenAI documents them.

(https://platform.openai.com/docs/api-reference/responses/object, …/responses-streaming)
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

type ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
type IncompleteReason = Literal["max_output_tokens", "content_filter"]


class InputDetails(Struct, frozen=True):
    """Where the input's tokens came from."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(Struct, frozen=True):
    """What the output's tokens were spent on."""

    reasoning_tokens: int


class ResponseUsage(Struct, frozen=True):
    """Tokens. input_tokens includes those read from and written to the cache. cost_usd: the CLI's estimate."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int
    cost_usd: float | UnsetType = UNSET


class OutputText(Struct, frozen=True, tag="output_text"):
    """Words of the answer."""

    text: str
    annotations: tuple[()] = ()
    logprobs: tuple[()] = ()


class OutputRefusal(Struct, frozen=True, tag="refusal"):
    """Why no answer of the wanted form was given."""

    refusal: str


type OutputPart = OutputText | OutputRefusal


class MessageItem(Struct, frozen=True, kw_only=True, tag="message"):
    """What the assistant says."""

    id: str
    status: ResponseStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputPart]


class FunctionCallItem(Struct, frozen=True, kw_only=True, tag="function_call"):
    """A call of a function. namespace: the one that it was offered in."""

    id: str
    status: ResponseStatus
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET
    arguments: str


class CustomCallItem(Struct, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A call of a tool that takes free text."""

    id: str
    status: ResponseStatus
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET
    input: str


class SummaryText(Struct, frozen=True, tag="summary_text"):
    """What is shown of the model's thoughts."""

    text: str


class ReasoningItem(Struct, frozen=True, kw_only=True, tag="reasoning"):
    """The model's thoughts. encrypted_content: what gives them back to the model."""

    id: str
    summary: list[SummaryText]
    encrypted_content: str | UnsetType | None = UNSET
    status: ResponseStatus


type OutputItem = MessageItem | FunctionCallItem | CustomCallItem | ReasoningItem


class ResponseError(Struct, frozen=True):
    """Why there is no (whole) answer."""

    code: str
    message: str


class IncompleteDetails(Struct, frozen=True):
    """Why the answer ended early."""

    reason: IncompleteReason


class ResponseObject(Struct, frozen=True, kw_only=True):
    """A response. created_at: seconds since 1970. What the request said is given back as it was sent."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus
    background: bool = False
    completed_at: int | None = None
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    reasoning: msgspec.Raw
    service_tier: Literal["default"] = "default"
    store: bool = True
    temperature: float | None = None
    text: msgspec.Raw
    tool_choice: msgspec.Raw
    tools: msgspec.Raw
    top_logprobs: int = 0
    top_p: float | None = None
    truncation: str = "disabled"
    usage: ResponseUsage | None = None
    user: str | None = None
    metadata: dict[str, str]


class DeletedResponse(Struct, frozen=True, kw_only=True):
    """A response that is kept no more."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputTokens(Struct, frozen=True, kw_only=True):
    """About how many tokens a request has."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class ItemList(Struct, frozen=True, kw_only=True):
    """Items of a stored response."""

    object: Literal["list"] = "list"
    data: list[msgspec.Raw]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StreamEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event of a stream; which fields it has depends on its type."""

    type: str
    sequence_number: int
    response: ResponseObject | UnsetType = UNSET
    item_id: str | UnsetType = UNSET
    output_index: int | UnsetType = UNSET
    content_index: int | UnsetType = UNSET
    summary_index: int | UnsetType = UNSET
    item: OutputItem | UnsetType = UNSET
    part: OutputPart | SummaryText | UnsetType = UNSET
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    input: str | UnsetType = UNSET
    logprobs: tuple[()] | UnsetType = UNSET


encoder = msgspec.json.Encoder()
