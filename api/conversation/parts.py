"""The parts and the tools of a request, in every vendor's form of them: clients post each other's to every address.

Law: these are shapes only; `api.conversation.content` and `api.conversation.tools` say what they mean.
"""

import msgspec
from msgspec import Struct

from api.conversation.kinds import TaggedStructDecoder

NULL = msgspec.Raw(b"null")


class ImageUrl(Struct, frozen=True):
    """Where a picture is: a data URL or an https address. detail is for models that scale pictures; Claude's do not."""

    url: str
    detail: str | None = None


class FilePart(Struct, frozen=True):
    """A file in the request. file_data: a data URL or bare base64."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class PartSource(Struct, frozen=True):
    """The source of an Anthropic image or document block, which some OpenAI clients send."""

    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""


class Part(Struct, frozen=True):
    """A part of a message's content; which fields it has depends on its type. content: read where it is understood."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None
    file: FilePart | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    source: PartSource | None = None
    title: str | None = None
    context: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str | None = None
    content: msgspec.Raw = NULL
    is_error: bool | None = None


PART_DECODER = TaggedStructDecoder(
    Part,
    "type",
    {
        **dict.fromkeys(("text", "input_text", "output_text"), ("text",)),
        "refusal": ("refusal", "text"),
        **dict.fromkeys(("image_url", "input_image"), ("image_url", "file_id")),
        "image": ("source", "image_url"),
        "file": ("file", "file_data", "file_id", "filename"),
        "input_file": ("file_data", "file_id", "file_url", "filename"),
        "document": ("source", "title", "context"),
        "tool_use": ("id", "name", "input"),
        "tool_result": ("tool_use_id", "content", "is_error"),
    },
)


class FunctionCall(Struct, frozen=True):
    """The function of a call. arguments: JSON, as text; some clients send the object itself."""

    name: str = ""
    arguments: msgspec.Raw = NULL


class FunctionDefinition(Struct, frozen=True):
    """A function on offer. parameters: its arguments' JSON Schema."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None


class CustomDefinition(Struct, frozen=True):
    """A tool that takes free text. format: a grammar, which no Claude model can be held to."""

    name: str
    description: str | None = None
    format: msgspec.Raw = NULL


class ToolDefinition(Struct, frozen=True):
    """A tool on offer: nested as in chat completions, flat as in responses, or as Anthropic has it."""

    type: str | None = None
    function: FunctionDefinition | None = None
    custom: CustomDefinition | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NULL
    input_schema: msgspec.Raw = NULL
    format: msgspec.Raw = NULL
    strict: bool | None = None


TOOL_DECODER = TaggedStructDecoder(
    ToolDefinition,
    "type",
    {
        "": ("function", "custom", "name", "description", "parameters", "input_schema", "strict"),
        "function": ("function", "name", "description", "parameters", "input_schema", "strict"),
        "custom": ("custom", "name", "description", "format"),
    },
)


class ToolParams(Struct, frozen=True):
    """The fields of a request that offer tools. functions, function_call: their legacy names."""

    tools: list[ToolDefinition] | None = None
    tool_choice: object = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | FunctionCall | None = None


class StreamOptions(Struct, frozen=True):
    """What a stream has besides the answer."""

    include_usage: bool | None = None


class Item(Struct, frozen=True):
    """An item of the input; which fields it has depends on its type. content, output: read where they are understood.

    arguments: as of CalledFunction. action, operation: what a shell's call or a patch's is to do. status: of a result.
    """

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: msgspec.Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = NULL
    input: str | None = None
    output: msgspec.Raw = NULL
    action: msgspec.Raw = NULL
    operation: msgspec.Raw = NULL
    status: str | None = None
    encrypted_content: str | None = None


# Local shell calls of old had an id only.
_CALL_ID_FIELDS = ("id", "call_id")
ITEM_DECODER = TaggedStructDecoder(
    Item,
    "type",
    {
        **dict.fromkeys(("", "message"), ("role", "content")),
        "function_call": (*_CALL_ID_FIELDS, "name", "namespace", "arguments"),
        "custom_tool_call": (*_CALL_ID_FIELDS, "name", "namespace", "input"),
        **dict.fromkeys(("local_shell_call", "shell_call"), (*_CALL_ID_FIELDS, "action")),
        "apply_patch_call": (*_CALL_ID_FIELDS, "operation"),
        **dict.fromkeys(("function_call_output", "custom_tool_call_output"), (*_CALL_ID_FIELDS, "output")),
        **dict.fromkeys(("local_shell_call_output", "shell_call_output"), (*_CALL_ID_FIELDS, "output")),
        "apply_patch_call_output": (*_CALL_ID_FIELDS, "output", "status"),
        "reasoning": ("encrypted_content",),
    },
)
