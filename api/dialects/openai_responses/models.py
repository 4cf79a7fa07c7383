"""The structs of a request for a response, as OpenAI documents them (https://platform.openai.com/docs/api-reference/responses)."""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.fields import EFFORT_NAMES
from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import TOOL_CHOICES, ToolDefinition
from api.conversation.tools import MAX_TOOLS
from api.core.schema import TOKENS, US_DOLLARS, doc, raw_field, ref


class ResponsesTool(ToolDefinition, frozen=True):
    """A tool that the model may call, or a namespace of tools."""

    type: Annotated[
        str | None,
        doc("`function` if left out; `custom`, `namespace`. Others are ignored; `x-ignored-parameters` names them."),
    ] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "For `namespace`: the tools in it. A call of one has its own name and the namespace's.",
            items=ref("ToolDefinition"),
        ),
    ] = None


_FUNCTION = ("function", "name", "description", "parameters", "input_schema", "strict")
RESPONSES_TOOL_DECODER = TaggedStructDecoder(
    ResponsesTool,
    "type",
    {
        "": ("custom", *_FUNCTION),
        "function": _FUNCTION,
        "custom": ("custom", "name", "description", "format"),
        "namespace": ("name", "description", "tools"),
    },
)


class TextFormat(Struct, frozen=True):
    """The format of the answer's text."""

    type: Annotated[
        str, doc("`text`, any JSON object, or JSON by a schema.", enum=["text", "json_object", "json_schema"])
    ] = "text"
    name: Annotated[str | None, doc("Accepted; only for people.")] = None
    description: Annotated[
        str | None, doc("What the answer is for. Without effect, unless the schema says it too.")
    ] = None
    schema: Annotated[msgspec.Raw, doc("For `json_schema`. Any root will do, lists and unions too.", type="object")] = (
        raw_field()
    )
    strict: Annotated[bool | None, doc("Accepted; the answer always meets the schema.")] = None


class TextOptions(Struct, frozen=True):
    """Options for the answer's text."""

    format: Annotated[TextFormat | None, doc("Its form.")] = None
    verbosity: Annotated[
        str | None,
        doc("Without effect; the response names it in `x-ignored-parameters`.", enum=["low", "medium", "high", None]),
    ] = None


class Reasoning(Struct, frozen=True):
    """How hard to think, and whether to show the thinking."""

    effort: Annotated[str | None, doc("As `reasoning_effort` of chat completions.", enum=[*EFFORT_NAMES, None])] = None
    summary: Annotated[
        str | None,
        doc(
            "Anything but `none`: show what is shown of the thoughts.",
            enum=["auto", "concise", "detailed", "none", None],
        ),
    ] = None
    generate_summary: Annotated[
        str | None, doc("The former name of `summary`.", enum=["auto", "concise", "detailed", None])
    ] = None


class ResponsesRequest(Struct, frozen=True):
    """An input, and how to answer it.

    `null` is the same as leaving a field out; fields that are not listed here are accepted and ignored.
    """

    input: Annotated[
        str | list[msgspec.Raw] | None,
        doc(
            "A text, or items: messages, calls and their results, in their order.",
            items=ref("Item"),
            minLength=1,
        ),
    ] = None
    model: Annotated[str | None, doc("As of chat completions.")] = None
    instructions: Annotated[
        str | None,
        doc(
            "The system prompt; `system` and `developer` messages before all others follow it, later ones stay where they are."
        ),
    ] = None
    previous_response_id: Annotated[
        str | None, doc("A response that is still kept: its whole conversation comes before `input`.")
    ] = None
    store: Annotated[bool | None, doc("`false`: keep nothing of this response.")] = None
    stream: Annotated[bool | None, doc("Send every event as it happens, as server-sent events.")] = None
    max_output_tokens: Annotated[
        int | None,
        doc(
            "The most tokens that may be written, thinking included. A response that is cut short is `incomplete`.",
            **TOKENS,
        ),
    ] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tools the model may call. Those that OpenAI runs itself are left out; `x-ignored-parameters` names them.",
            items=ref("ResponsesTool"),
            maxItems=MAX_TOOLS,
        ),
    ] = None
    tool_choice: Annotated[
        msgspec.Raw,
        doc(
            "Whether a tool may (`auto`), must not (`none`) or must (`required`, or a named one) be called, or which of them may be.",
            anyOf=TOOL_CHOICES,
        ),
    ] = raw_field()
    parallel_tool_calls: Annotated[
        bool | None, doc("Whether one answer may hold several calls; `true` if left out.")
    ] = None
    text: Annotated[TextOptions | None, doc("The form of the answer's text.")] = None
    reasoning: Annotated[Reasoning | None, doc("How hard to think, and whether to tell of it.")] = None
    truncation: Annotated[
        str | None,
        doc(
            "`disabled` or `auto`; nothing is left out of a conversation in either case.",
            enum=["auto", "disabled", None],
        ),
    ] = None
    include: Annotated[
        list[str] | None, doc("`reasoning.encrypted_content` gives out what gives thoughts back to the model.")
    ] = None
    metadata: Annotated[dict[str, str] | None, doc("Up to 16 pairs, which come back with the response.")] = None
    background: Annotated[
        bool | None, doc("Answer at once with a response that is `queued`; look it up by its id.")
    ] = None
    max_budget_usd: Annotated[
        float | None,
        doc("What the answer may cost, in US dollars; one that would cost more fails with 402.", **US_DOLLARS),
    ] = None
