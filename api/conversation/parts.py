"""The parts, items and tools of a request. Each address accepts the forms of every vendor.

Invariants: these structs are shapes only; `api.conversation.content`, `items` and `tools` interpret them.
"""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.kinds import TaggedStructDecoder
from api.core.schema import TOOL_NAME, content_of, doc, either, raw_field

NULL = msgspec.Raw(b"null")
PART_TYPES = [
    *("text", "image_url", "file", "refusal", "input_text", "output_text", "input_image", "input_file"),
    *("image", "document", "tool_use", "tool_result"),
]
TOOL_CHOICES = either(
    {"enum": ["none", "auto", "required"]},
    {
        "type": "object",
        "description": "One tool by name, nested (`function.name`) or flat (`name` next to `type`); or `allowed_tools`, "
        "which has a `mode` (`auto` or `required`) and the `tools` that may be called.",
        "required": ["type"],
    },
)


class ImageUrl(Struct, frozen=True):
    """An image: PNG, JPEG, GIF or WebP, up to 5 MiB and 8000 pixels a side."""

    url: Annotated[str, doc("A data URL in base64, or an https address on the public internet.", minLength=1)]
    detail: Annotated[
        str | None, doc("Without effect: images are not scaled. `x-ignored-parameters` names values other than `auto`.")
    ] = None


class FilePart(Struct, frozen=True):
    """A file in the request.

    PDF, text or an office document (Word, Excel, PowerPoint, OpenDocument, RTF, EPUB), up to 20 MiB.
    """

    file_data: Annotated[str | None, doc("A data URL, or base64.")] = None
    filename: Annotated[str | None, doc("Its name, which the model sees.")] = None
    file_id: Annotated[str | None, doc("Rejected: the server does not store files.")] = None


class PartSource(Struct, frozen=True):
    """The source of an Anthropic `image` or `document`."""

    type: Annotated[str, doc("`base64`, `url` or `text`.")] = ""
    media_type: Annotated[str, doc("Such as `image/png` or `application/pdf`.")] = ""
    data: Annotated[str, doc("Base64, or the text itself.")] = ""
    url: Annotated[str, doc("As `image_url.url`.")] = ""


class Part(Struct, frozen=True):
    """A part of a message; its `type` decides which other fields apply.

    The forms of OpenAI's chat completions and responses and of Anthropic's messages are accepted.
    """

    type: Annotated[
        str,
        doc(
            "`text`, `image_url` or `file`. The other types are the names of the same parts in other APIs.",
            enum=PART_TYPES,
        ),
    ]
    text: Annotated[str | None, doc("For `text`: the text.")] = None
    refusal: Annotated[str | None, doc("For `refusal`: the text.")] = None
    image_url: Annotated[str | ImageUrl | None, doc("For `image_url`: the URL of the image.")] = None
    file: Annotated[FilePart | None, doc("For `file`: a PDF, a text or an office document.")] = None
    file_data: Annotated[str | None, doc("For `input_file`: as `file.file_data`.")] = None
    file_id: Annotated[str | None, doc("Rejected: the server does not store files.")] = None
    file_url: Annotated[str | None, doc("Rejected: files are not fetched; send `file_data`.")] = None
    filename: Annotated[str | None, doc("For `input_file`: as `file.filename`.")] = None
    source: Annotated[PartSource | None, doc("For `image` and `document`: Anthropic's form.")] = None
    title: Annotated[str | None, doc("For `document`: its name.")] = None
    context: Annotated[str | None, doc("For `document`: notes on it, for the model.")] = None
    id: Annotated[str | None, doc("For `tool_use`: the call's id.")] = None
    name: Annotated[str | None, doc("For `tool_use`: the tool's name.")] = None
    input: Annotated[msgspec.Raw, doc("For `tool_use`: the arguments.", type="object")] = raw_field(b"{}")
    tool_use_id: Annotated[str | None, doc("For `tool_result`: the id of its call.")] = None
    content: Annotated[msgspec.Raw, doc("For `tool_result`: the tool's output.", anyOf=content_of("Part"))] = (
        raw_field()
    )
    is_error: Annotated[bool | None, doc("For `tool_result`: the tool failed.")] = None


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
    """A function call."""

    name: Annotated[str, doc("The function's name.")] = ""
    arguments: Annotated[
        msgspec.Raw,
        doc("A JSON object, as text. The model receives invalid JSON unchanged.", type=["string", "null"]),
    ] = raw_field()


class FunctionDefinition(Struct, frozen=True):
    """A function that the model may call."""

    name: Annotated[str, doc("Its name; any characters, returned unchanged.", **TOOL_NAME)]
    description: Annotated[str | None, doc("What it does and when to call it; the model reads this.")] = None
    parameters: Annotated[
        msgspec.Raw, doc("Its arguments' JSON Schema, which must describe an object.", type="object")
    ] = raw_field()
    strict: Annotated[
        bool | None,
        doc(
            "Return a call's arguments only if they are valid against the schema; they arrive in one piece, not streamed."
        ),
    ] = None


class CustomDefinition(Struct, frozen=True):
    """A tool that takes free text."""

    name: Annotated[str, doc("Its name.", **TOOL_NAME)]
    description: Annotated[str | None, doc("What it does and when to call it.")] = None
    format: Annotated[
        msgspec.Raw, doc("A grammar for the text. Without effect; the response names it in `x-ignored-parameters`.")
    ] = raw_field()


class ToolDefinition(Struct, frozen=True):
    """A tool that the model may call.

    Nested under `function` or `custom` as in chat completions, or flat as in responses and Anthropic's messages.
    """

    type: Annotated[str | None, doc("`function` if left out.", enum=["function", "custom", None])] = None
    function: Annotated[FunctionDefinition | None, doc("A function.")] = None
    custom: Annotated[CustomDefinition | None, doc("A tool that takes free text.")] = None
    name: Annotated[str | None, doc("Flat form: the name.")] = None
    description: Annotated[str | None, doc("Flat form: the description.")] = None
    parameters: Annotated[msgspec.Raw, doc("Flat form: the arguments' schema.", type="object")] = raw_field()
    input_schema: Annotated[msgspec.Raw, doc("Anthropic's name of `parameters`.", type="object")] = raw_field()
    format: Annotated[msgspec.Raw, doc("Flat form of a custom tool: as `custom.format`.")] = raw_field()
    strict: Annotated[bool | None, doc("Flat form: as `function.strict`.")] = None


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
    """The fields of a request about tools. functions, function_call: their legacy names."""

    tools: list[ToolDefinition] | None = None
    tool_choice: object = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | FunctionCall | None = None


class StreamOptions(Struct, frozen=True):
    """Options of a stream."""

    include_usage: Annotated[bool | None, doc("A last chunk with `usage`, and no choices.")] = None


class Item(Struct, frozen=True):
    """An item of the input; its `type` decides which other fields apply."""

    type: Annotated[
        str | None,
        doc("`message` if left out. Calls of tools that OpenAI runs are ignored; `x-ignored-parameters` names them."),
    ] = None
    id: Annotated[str | None, doc("Its id; for `item_reference`, that of a stored item.")] = None
    role: Annotated[
        str | None, doc("For `message`: its author.", enum=["system", "developer", "user", "assistant", None])
    ] = None
    content: Annotated[
        msgspec.Raw, doc("For `message`: a text, or parts in their order.", anyOf=content_of("Part"))
    ] = raw_field()
    call_id: Annotated[str | None, doc("For calls and their results: the call's id.")] = None
    name: Annotated[str | None, doc("For calls: the tool's name.")] = None
    namespace: Annotated[str | None, doc("For calls: the namespace of the tool.")] = None
    arguments: Annotated[
        msgspec.Raw,
        doc(
            "For `function_call`: a JSON object, as text. The model receives invalid JSON unchanged.",
            type=["string", "null"],
        ),
    ] = raw_field()
    input: Annotated[str | None, doc("For `custom_tool_call`: free text.")] = None
    output: Annotated[msgspec.Raw, doc("For results: a text, or parts.")] = raw_field()
    action: Annotated[msgspec.Raw, doc("For shell calls: the command.")] = raw_field()
    operation: Annotated[msgspec.Raw, doc("For `apply_patch_call`: the change.")] = raw_field()
    status: Annotated[str | None, doc("For `apply_patch_call_output`: whether it `failed`.")] = None
    encrypted_content: Annotated[
        str | None, doc("For `reasoning`: as a response of this server returned it; that of other servers is ignored.")
    ] = None


# Older local shell calls have an `id` only.
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
