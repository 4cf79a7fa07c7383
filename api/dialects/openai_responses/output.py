"""The structs of responses and of their streams, as OpenAI documents them.

(https://platform.openai.com/docs/api-reference/responses/object, …/responses-streaming)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from api.core.schema import doc
from api.dialects.openai_common import CompletionDetails, PromptDetails

type ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
type IncompleteReason = Literal["max_output_tokens", "content_filter"]


class ResponseUsage(Struct, frozen=True):
    """Token usage."""

    input_tokens: Annotated[int, doc("Input tokens, including tokens read from and written to the cache.")]
    input_tokens_details: Annotated[PromptDetails, doc("How the input tokens relate to the cache.")]
    output_tokens: Annotated[int, doc("Output tokens, thinking included.")]
    output_tokens_details: Annotated[CompletionDetails, doc("How the output tokens were used.")]
    total_tokens: Annotated[int, doc("Input and output tokens together.")]
    cost_usd: Annotated[float | UnsetType, doc("The cost in US dollars that the Claude Code CLI reported.")] = UNSET


class OutputText(Struct, frozen=True, tag="output_text"):
    """Text of the answer."""

    text: Annotated[str, doc("The text.")]
    annotations: Annotated[tuple[()], doc("Always empty.")] = ()
    logprobs: Annotated[tuple[()], doc("Always empty.")] = ()


class OutputRefusal(Struct, frozen=True, tag="refusal"):
    """The model's refusal to answer in the requested format."""

    refusal: Annotated[str, doc("The model's explanation.")]


type OutputPart = OutputText | OutputRefusal


class MessageItem(Struct, frozen=True, kw_only=True, tag="message"):
    """A message of the assistant."""

    id: Annotated[str, doc("The id.")]
    status: Annotated[ResponseStatus, doc("Whether the item is in progress, complete or incomplete.")]
    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    content: Annotated[list[OutputPart], doc("The content parts.")]


class CallItem(Struct, frozen=True, kw_only=True):
    """The fields of every call."""

    id: Annotated[str, doc("The id of the item.")]
    status: Annotated[ResponseStatus, doc("Whether the item is in progress, complete or incomplete.")]
    call_id: Annotated[str, doc("The id of the call; send it with the result.")]
    name: Annotated[str, doc("The name of the tool, exactly as in the request.")]
    namespace: Annotated[str | UnsetType, doc("The namespace of the tool, if it has one.")] = UNSET


class FunctionCallItem(CallItem, frozen=True, kw_only=True, tag="function_call"):
    """A call of a function."""

    arguments: Annotated[str, doc("The arguments: JSON, as text.")]


class CustomCallItem(CallItem, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A call of a custom tool."""

    input: Annotated[str, doc("The input, as free text.")]


class SummaryText(Struct, frozen=True, tag="summary_text"):
    """A summary of the thinking, as far as the service shows it."""

    text: Annotated[str, doc("The text.")]


class ReasoningItem(Struct, frozen=True, kw_only=True, tag="reasoning"):
    """A part of the model's thinking. Send it back unchanged."""

    id: Annotated[str, doc("The id.")]
    summary: Annotated[
        list[SummaryText], doc("The thinking that the service shows, if the request has `reasoning.summary`.")
    ]
    encrypted_content: Annotated[
        str | UnsetType | None, doc("The encrypted thinking, which returns it to the model, if `include` requested it.")
    ] = UNSET
    status: Annotated[ResponseStatus, doc("Whether the item is in progress, complete or incomplete.")]


type OutputItem = MessageItem | FunctionCallItem | CustomCallItem | ReasoningItem


class ResponseError(Struct, frozen=True):
    """Why there is no complete answer."""

    code: Annotated[str, doc("The error code, as in an error body.")]
    message: Annotated[str, doc("A sentence for people: what is wrong, and how to fix it.")]


class IncompleteDetails(Struct, frozen=True):
    """Why the answer ended early."""

    reason: Annotated[
        IncompleteReason,
        doc(
            "`max_output_tokens`: the response reached the token limit; `content_filter`: the service refused to continue."
        ),
    ]


class ResponseObject(Struct, frozen=True, kw_only=True):
    """A response."""

    id: Annotated[str, doc("The id.")]
    object: Annotated[Literal["response"], doc("The type of the object.")] = "response"
    created_at: Annotated[int, doc("When the response was created, in seconds since 1970.")]
    status: Annotated[
        ResponseStatus,
        doc("The state of the response; `incomplete`: it was truncated, and `incomplete_details` has the reason."),
    ]
    background: Annotated[bool, doc("As in the request.")] = False
    completed_at: Annotated[
        int | None, doc("When the response was completed, in seconds since 1970; null if it was not.")
    ] = None
    error: Annotated[ResponseError | None, doc("Why the response failed.")] = None
    incomplete_details: Annotated[IncompleteDetails | None, doc("Why the response is incomplete.")] = None
    instructions: Annotated[str | None, doc("As in the request.")] = None
    max_output_tokens: Annotated[int | None, doc("As in the request.")] = None
    max_tool_calls: Annotated[int | None, doc("As in the request.")] = None
    model: Annotated[str, doc("The full id of the model that answered.")]
    output: Annotated[list[OutputItem], doc("The thinking, messages and calls of the model, in order.")]
    parallel_tool_calls: Annotated[bool, doc("As in the request.")] = True
    previous_response_id: Annotated[str | None, doc("As in the request.")] = None
    reasoning: Annotated[msgspec.Raw, doc("As in the request.")]
    service_tier: Annotated[Literal["default"], doc("Always `default`.")] = "default"
    store: Annotated[bool, doc("Whether the response is stored.")] = True
    temperature: Annotated[float | None, doc("As in the request.")] = None
    text: Annotated[msgspec.Raw, doc("As in the request.")]
    tool_choice: Annotated[msgspec.Raw, doc("As in the request.")]
    tools: Annotated[msgspec.Raw, doc("As in the request.")]
    top_logprobs: Annotated[int, doc("Always 0.")] = 0
    top_p: Annotated[float | None, doc("As in the request.")] = None
    truncation: Annotated[str, doc("As in the request.")] = "disabled"
    usage: Annotated[ResponseUsage | None, doc("The token usage; null until the response has ended.")] = None
    user: Annotated[str | None, doc("As in the request.")] = None
    metadata: Annotated[dict[str, str], doc("As in the request.")]


class DeletedResponse(Struct, frozen=True, kw_only=True):
    """The confirmation that a response was deleted."""

    id: Annotated[str, doc("The id.")]
    object: Annotated[Literal["response"], doc("The type of the deleted object.")] = "response"
    deleted: Annotated[bool, doc("Always true.")] = True


class InputTokens(Struct, frozen=True, kw_only=True):
    """An estimate of the input tokens of a request."""

    object: Annotated[Literal["response.input_tokens"], doc("The type of the object.")] = "response.input_tokens"
    input_tokens: Annotated[int, doc("The estimated number of input tokens.")]


class ItemList(Struct, frozen=True, kw_only=True):
    """A page of items."""

    object: Annotated[Literal["list"], doc("The type of the object.")] = "list"
    data: Annotated[list[Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]], doc("The items.")]
    first_id: Annotated[str | None, doc("The id of the first item.")]
    last_id: Annotated[str | None, doc("The id of the last item.")]
    has_more: Annotated[bool, doc("Whether more items follow.")]


class StreamEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event of a stream; its `type` determines which other fields it has."""

    type: Annotated[str, doc("The type of the event.")]
    sequence_number: Annotated[int, doc("The index of the event in the stream, from 0.")]
    response: Annotated[ResponseObject | UnsetType, doc("The current state of the response.")] = UNSET
    item_id: Annotated[str | UnsetType, doc("The id of the item.")] = UNSET
    output_index: Annotated[int | UnsetType, doc("The index of the item, from 0.")] = UNSET
    content_index: Annotated[int | UnsetType, doc("The index of the part, from 0.")] = UNSET
    summary_index: Annotated[int | UnsetType, doc("The index of the summary part, from 0.")] = UNSET
    item: Annotated[OutputItem | UnsetType, doc("The current state of the item.")] = UNSET
    part: Annotated[OutputPart | SummaryText | UnsetType, doc("The current state of the part.")] = UNSET
    delta: Annotated[str | UnsetType, doc("The next part of the text, refusal, arguments or input.")] = UNSET
    text: Annotated[str | UnsetType, doc("The complete text.")] = UNSET
    refusal: Annotated[str | UnsetType, doc("The complete refusal.")] = UNSET
    name: Annotated[str | UnsetType, doc("The name of the tool.")] = UNSET
    arguments: Annotated[str | UnsetType, doc("The complete arguments.")] = UNSET
    input: Annotated[str | UnsetType, doc("The complete input.")] = UNSET
    logprobs: Annotated[tuple[()] | UnsetType, doc("Always empty.")] = UNSET
