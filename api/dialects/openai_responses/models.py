"""The structs of a request for a response, as OpenAI documents them (https://platform.openai.com/docs/api-reference/responses)."""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.fields import EFFORT_NAMES
from api.conversation.tools import MAX_TOOLS
from api.core.schema import TokenLimit, doc, ref
from api.dialects.openai_common import FormatType, JsonSchemaFormat, ToolRequest


class TextFormat(JsonSchemaFormat, frozen=True, kw_only=True):
    """The format of the answer's text; for `json_schema`, with the JSON Schema."""

    type: FormatType = "text"


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


class ResponsesRequest(ToolRequest, frozen=True, kw_only=True):
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
    instructions: Annotated[
        str | None,
        doc(
            "The system prompt, not taken from an earlier response; `system` and `developer` messages before all others follow it, later ones keep their position."
        ),
    ] = None
    previous_response_id: Annotated[
        str | None, doc("The id of a stored response of the same key. Its complete conversation precedes `input`.")
    ] = None
    store: Annotated[
        bool | None,
        doc(
            "Whether the server stores the response, within RESPONSE_STORE_MAX_ITEMS, RESPONSE_STORE_MAX_BYTES and RESPONSE_STORE_TTL. Default: `true`."
        ),
    ] = None
    max_output_tokens: Annotated[
        TokenLimit | None,
        doc("The most output tokens, thinking included. A truncated response has `status: incomplete`."),
    ] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "The tools that the model may call. Tools that OpenAI runs are ignored; `x-ignored-parameters` lists them.",
            items=ref("ToolDefinition"),
            maxItems=MAX_TOOLS,
        ),
    ] = None
    text: Annotated[TextOptions | None, doc("The format of the answer's text. `verbosity` is ignored.")] = None
    reasoning: Annotated[
        Reasoning | None,
        doc(
            "How much the model thinks, and whether the response contains the thinking. `context` and `mode` are ignored."
        ),
    ] = None
    truncation: Annotated[
        str | None,
        doc(
            "`disabled`, or `auto`, which is ignored: the server never truncates a conversation.",
            enum=["auto", "disabled", None],
        ),
    ] = None
    include: Annotated[
        list[str] | None,
        doc(
            "`reasoning.encrypted_content`: the response contains the encrypted thinking, which returns it to the model in later requests. Other values are ignored."
        ),
    ] = None
    metadata: Annotated[dict[str, str] | None, doc("Up to 16 pairs of key and value; the response contains them.")] = (
        None
    )
    background: Annotated[
        bool | None,
        doc(
            "Whether to return a response with `status: queued` at once. Retrieve the result by its id; requires `store`."
        ),
    ] = None
