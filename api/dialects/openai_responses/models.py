"""The structs of a request for a response, as OpenAI documents them (https://platform.openai.com/docs/api-reference/responses)."""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.fields import EFFORT_NAMES
from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import TOOL_CHOICES, ToolDefinition
from api.conversation.tools import MAX_TOOLS
from api.core.schema import Dollars, TokenLimit, doc, raw_field, ref


class ResponsesTool(ToolDefinition, frozen=True):
    """A tool that the model may call, or a namespace of tools."""

    type: Annotated[
        str | None,
        doc(
            "`function`, `custom` or `namespace`. Default: `function`. Other types are ignored; `x-ignored-parameters` lists them."
        ),
    ] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "For `namespace`: its tools. A call contains the name of the tool and of the namespace.",
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
        str,
        doc(
            "`text`; `json_object`: any JSON object; `json_schema`: JSON that is valid against a schema.",
            enum=["text", "json_object", "json_schema"],
        ),
    ] = "text"
    name: Annotated[str | None, doc("A name for people. Accepted without effect.")] = None
    description: Annotated[
        str | None, doc("The purpose of the answer. Ignored; a `description` in the schema has an effect.")
    ] = None
    schema: Annotated[
        msgspec.Raw,
        doc(
            "For `json_schema`: the JSON Schema. The root may have any type, including arrays and unions.",
            type="object",
        ),
    ] = raw_field()
    strict: Annotated[bool | None, doc("Accepted without effect: the answer is always valid against the schema.")] = (
        None
    )


class TextOptions(Struct, frozen=True):
    """Options for the answer's text."""

    format: Annotated[TextFormat | None, doc("The format.")] = None
    verbosity: Annotated[
        str | None,
        doc("Ignored; the response lists it in `x-ignored-parameters`.", enum=["low", "medium", "high", None]),
    ] = None


class Reasoning(Struct, frozen=True):
    """How much the model thinks, and whether the response contains the thinking."""

    effort: Annotated[str | None, doc("As `reasoning_effort` of chat completions.", enum=[*EFFORT_NAMES, None])] = None
    summary: Annotated[
        str | None,
        doc(
            "Every value except `none`: the response contains the thinking that the service shows.",
            enum=["auto", "concise", "detailed", "none", None],
        ),
    ] = None
    generate_summary: Annotated[
        str | None, doc("The former name of `summary`.", enum=["auto", "concise", "detailed", None])
    ] = None


class ResponsesRequest(Struct, frozen=True):
    """An input, and options for the response.

    `null` is the same as an absent field. Unknown fields are ignored.
    """

    input: Annotated[
        str | list[msgspec.Raw] | None,
        doc(
            "A text, or items in order: messages, calls and their results.",
            items=ref("Item"),
            minLength=1,
        ),
    ] = None
    model: Annotated[str | None, doc("As in chat completions: a name from GET /v1/models. Default: DEFAULT_MODEL.")] = (
        None
    )
    instructions: Annotated[
        str | None,
        doc(
            "The system prompt; `system` and `developer` messages before all others follow it, later ones keep their position."
        ),
    ] = None
    previous_response_id: Annotated[
        str | None, doc("The id of a stored response. Its complete conversation precedes `input`.")
    ] = None
    store: Annotated[bool | None, doc("Whether the server stores the response. Default: `true`.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the response as server-sent events.")] = None
    max_output_tokens: Annotated[
        TokenLimit | None,
        doc("The most output tokens, thinking included. A truncated response has `status: incomplete`."),
    ] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tools that the model may call. Tools that OpenAI runs are ignored; `x-ignored-parameters` lists them.",
            items=ref("ResponsesTool"),
            maxItems=MAX_TOOLS,
        ),
    ] = None
    tool_choice: Annotated[
        msgspec.Raw,
        doc(
            "Whether the model may (`auto`), must not (`none`) or must (`required`, or a named tool) call a tool, or which tools it may call.",
            anyOf=TOOL_CHOICES,
        ),
    ] = raw_field()
    parallel_tool_calls: Annotated[
        bool | None, doc("Whether one response may contain several calls. Default: `true`.")
    ] = None
    text: Annotated[TextOptions | None, doc("The format of the answer's text.")] = None
    reasoning: Annotated[
        Reasoning | None, doc("How much the model thinks, and whether the response contains the thinking.")
    ] = None
    truncation: Annotated[
        str | None,
        doc(
            "`disabled` or `auto`; the server never truncates a conversation.",
            enum=["auto", "disabled", None],
        ),
    ] = None
    include: Annotated[
        list[str] | None,
        doc(
            "`reasoning.encrypted_content`: the response contains the encrypted thinking, which returns it to the model in later requests."
        ),
    ] = None
    metadata: Annotated[dict[str, str] | None, doc("Up to 16 pairs of key and value; the response contains them.")] = (
        None
    )
    background: Annotated[
        bool | None, doc("Whether to return a response with `status: queued` at once. Retrieve the result by its id.")
    ] = None
    max_budget_usd: Annotated[
        Dollars | None,
        doc("The most that the response may cost, in US dollars; one that would cost more fails with status 402."),
    ] = None
