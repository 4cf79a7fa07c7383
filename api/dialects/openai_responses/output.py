"""The structs of responses and of their streams, as OpenAI documents them.

(https://platform.openai.com/docs/api-reference/responses/object, …/responses-streaming)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from api.core.schema import doc

type ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
type IncompleteReason = Literal["max_output_tokens", "content_filter"]


class InputDetails(Struct, frozen=True):
    """The input tokens that came from or went to the cache."""

    cached_tokens: Annotated[int, doc("Read from the cache.")]
    cache_write_tokens: Annotated[int, doc("Written to the cache.")]


class OutputDetails(Struct, frozen=True):
    """The output tokens by use."""

    reasoning_tokens: Annotated[int, doc("On thinking.")]


class ResponseUsage(Struct, frozen=True):
    """Token counts."""

    input_tokens: Annotated[int, doc("Read: new ones, and those read from and written to the cache.")]
    input_tokens_details: Annotated[InputDetails, doc("Of those read.")]
    output_tokens: Annotated[int, doc("Written, thinking included.")]
    output_tokens_details: Annotated[OutputDetails, doc("Of those written.")]
    total_tokens: Annotated[int, doc("Both together.")]
    cost_usd: Annotated[float | UnsetType, doc("What the Claude Code CLI says it cost, in US dollars.")] = UNSET


class OutputText(Struct, frozen=True, tag="output_text"):
    """Text of the answer."""

    text: Annotated[str, doc("The words.")]
    annotations: Annotated[tuple[()], doc("Always empty.")] = ()
    logprobs: Annotated[tuple[()], doc("Always empty.")] = ()


class OutputRefusal(Struct, frozen=True, tag="refusal"):
    """Why the model gave no answer in the requested format."""

    refusal: Annotated[str, doc("The words.")]


type OutputPart = OutputText | OutputRefusal


class MessageItem(Struct, frozen=True, kw_only=True, tag="message"):
    """A message of the assistant."""

    id: Annotated[str, doc("Its id.")]
    status: Annotated[ResponseStatus, doc("Whether it is whole.")]
    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    content: Annotated[list[OutputPart], doc("Its parts.")]


class FunctionCallItem(Struct, frozen=True, kw_only=True, tag="function_call"):
    """A call of a function."""

    id: Annotated[str, doc("The item's id.")]
    status: Annotated[ResponseStatus, doc("Whether it is whole.")]
    call_id: Annotated[str, doc("The call's id; its result names it.")]
    name: Annotated[str, doc("The name, exactly as it was offered.")]
    namespace: Annotated[str | UnsetType, doc("The namespace that it was offered in.")] = UNSET
    arguments: Annotated[str, doc("JSON, as text.")]


class CustomCallItem(Struct, frozen=True, kw_only=True, tag="custom_tool_call"):
    """A call of a custom tool."""

    id: Annotated[str, doc("The item's id.")]
    status: Annotated[ResponseStatus, doc("Whether it is whole.")]
    call_id: Annotated[str, doc("The call's id; its result names it.")]
    name: Annotated[str, doc("The name, exactly as it was offered.")]
    namespace: Annotated[str | UnsetType, doc("The namespace that it was offered in.")] = UNSET
    input: Annotated[str, doc("Free text.")]


class SummaryText(Struct, frozen=True, tag="summary_text"):
    """The visible thinking."""

    text: Annotated[str, doc("The words.")]


class ReasoningItem(Struct, frozen=True, kw_only=True, tag="reasoning"):
    """A block of the model's thinking. Send it back unchanged."""

    id: Annotated[str, doc("Its id.")]
    summary: Annotated[list[SummaryText], doc("What is shown of them, if `reasoning.summary` asked for it.")]
    encrypted_content: Annotated[
        str | UnsetType | None, doc("What gives them back to the model, if `include` asked for it.")
    ] = UNSET
    status: Annotated[ResponseStatus, doc("Whether it is whole.")]


type OutputItem = MessageItem | FunctionCallItem | CustomCallItem | ReasoningItem


class ResponseError(Struct, frozen=True):
    """Why there is no complete answer."""

    code: Annotated[str, doc("As of an error.")]
    message: Annotated[str, doc("A sentence for people, which says what can be done.")]


class IncompleteDetails(Struct, frozen=True):
    """Why the answer ended early."""

    reason: Annotated[IncompleteReason, doc("The token limit, or the service held it back.")]


class ResponseObject(Struct, frozen=True, kw_only=True):
    """A response."""

    id: Annotated[str, doc("Its id.")]
    object: Annotated[Literal["response"], doc("What this is.")] = "response"
    created_at: Annotated[int, doc("When it began, in seconds since 1970.")]
    status: Annotated[
        ResponseStatus,
        doc("Whether it waits, is being answered, whole, cut short (`incomplete`), failed or cancelled."),
    ]
    background: Annotated[bool, doc("As sent.")] = False
    completed_at: Annotated[int | None, doc("When it was whole, in seconds since 1970.")] = None
    error: Annotated[ResponseError | None, doc("Why it failed.")] = None
    incomplete_details: Annotated[IncompleteDetails | None, doc("Why it was cut short.")] = None
    instructions: Annotated[str | None, doc("As sent.")] = None
    max_output_tokens: Annotated[int | None, doc("As sent.")] = None
    max_tool_calls: Annotated[int | None, doc("As sent.")] = None
    model: Annotated[str, doc("The model that answered.")]
    output: Annotated[list[OutputItem], doc("What the model thought, said and called, in order.")]
    parallel_tool_calls: Annotated[bool, doc("As sent.")] = True
    previous_response_id: Annotated[str | None, doc("As sent.")] = None
    reasoning: Annotated[msgspec.Raw, doc("As sent.")]
    service_tier: Annotated[Literal["default"], doc("Always `default`.")] = "default"
    store: Annotated[bool, doc("Whether it is kept.")] = True
    temperature: Annotated[float | None, doc("As sent.")] = None
    text: Annotated[msgspec.Raw, doc("As sent.")]
    tool_choice: Annotated[msgspec.Raw, doc("As sent.")]
    tools: Annotated[msgspec.Raw, doc("As sent.")]
    top_logprobs: Annotated[int, doc("Always 0.")] = 0
    top_p: Annotated[float | None, doc("As sent.")] = None
    truncation: Annotated[str, doc("As sent.")] = "disabled"
    usage: Annotated[ResponseUsage | None, doc("The tokens; null until it has ended.")] = None
    user: Annotated[str | None, doc("As sent.")] = None
    metadata: Annotated[dict[str, str], doc("As sent.")]


class DeletedResponse(Struct, frozen=True, kw_only=True):
    """A response that was deleted."""

    id: Annotated[str, doc("Its id.")]
    object: Annotated[Literal["response"], doc("What it was.")] = "response"
    deleted: Annotated[bool, doc("Always true.")] = True


class InputTokens(Struct, frozen=True, kw_only=True):
    """An estimate of the input tokens."""

    object: Annotated[Literal["response.input_tokens"], doc("What this is.")] = "response.input_tokens"
    input_tokens: Annotated[int, doc("About how many tokens the request has.")]


class ItemList(Struct, frozen=True, kw_only=True):
    """A page of items."""

    object: Annotated[Literal["list"], doc("What this is.")] = "list"
    data: Annotated[list[Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]], doc("The items.")]
    first_id: Annotated[str | None, doc("The first one's id.")]
    last_id: Annotated[str | None, doc("The last one's id.")]
    has_more: Annotated[bool, doc("Whether there are more after them.")]


class StreamEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event of a stream. Its `type` determines which other fields it has."""

    type: Annotated[str, doc("What happened.")]
    sequence_number: Annotated[int, doc("Which event of the stream this is, from 0.")]
    response: Annotated[ResponseObject | UnsetType, doc("The response as it stands.")] = UNSET
    item_id: Annotated[str | UnsetType, doc("The item that this belongs to.")] = UNSET
    output_index: Annotated[int | UnsetType, doc("The place of the item, from 0.")] = UNSET
    content_index: Annotated[int | UnsetType, doc("The place of the part, from 0.")] = UNSET
    summary_index: Annotated[int | UnsetType, doc("The place of the summary's part, from 0.")] = UNSET
    item: Annotated[OutputItem | UnsetType, doc("The item as it stands.")] = UNSET
    part: Annotated[OutputPart | SummaryText | UnsetType, doc("The part as it stands.")] = UNSET
    delta: Annotated[str | UnsetType, doc("The next piece.")] = UNSET
    text: Annotated[str | UnsetType, doc("All of the text.")] = UNSET
    refusal: Annotated[str | UnsetType, doc("All of the refusal.")] = UNSET
    name: Annotated[str | UnsetType, doc("The tool's name.")] = UNSET
    arguments: Annotated[str | UnsetType, doc("All of the arguments.")] = UNSET
    input: Annotated[str | UnsetType, doc("All of the free text.")] = UNSET
    logprobs: Annotated[tuple[()] | UnsetType, doc("Always empty.")] = UNSET


encoder = msgspec.json.Encoder()
