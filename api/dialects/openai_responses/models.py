"""The structs of a request for a response, as OpenAI documents them (https://platform.openai.com/docs/api-reference/responses)."""

import msgspec
from msgspec import Struct

from api.conversation.kinds import TaggedStructDecoder
from api.conversation.parts import NULL, ToolDefinition


class ResponsesTool(ToolDefinition, frozen=True):
    """A tool on offer. tools: of a namespace, read where they are understood."""

    tools: list[msgspec.Raw] | None = None


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
    """The form of the answer's text."""

    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw = NULL
    strict: bool | None = None


class TextOptions(Struct, frozen=True):
    """How the answer's text is to be."""

    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(Struct, frozen=True):
    """How hard to think, and whether to tell of it. generate_summary: the former name of summary."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponsesRequest(Struct, frozen=True):
    """The body of POST /v1/responses, as far as it is supported; `api.conversation.parameters` has the table of the rest."""

    input: str | list[msgspec.Raw] | None = None
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = NULL
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    truncation: str | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    background: bool | None = None
    max_budget_usd: float | None = None
