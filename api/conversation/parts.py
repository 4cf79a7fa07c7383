"""The content parts and tools of a request, in the formats of all vendors: clients mix the formats.

Invariants: these structs declare types only; `api.conversation.content` and `api.conversation.tools` interpret them.
"""

from typing import Annotated

import msgspec
from msgspec import Struct

from api.conversation.kinds import TaggedStructDecoder
from api.core.schema import TOOL_NAME, content_of, doc, either, raw_field, ref

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
        "with a `mode` (`auto` or `required`) and the `tools` that the model may call.",
        "required": ["type"],
    },
)


class ImageUrl(Struct, frozen=True):
    """An image: PNG, JPEG, GIF or WebP, up to 5 MiB and 8000 pixels on each side."""

    url: Annotated[str, doc("A data URL in base64, or an https URL on the public internet.", minLength=1)]
    detail: Annotated[
        str | None, doc("Ignored: images are not scaled. `x-ignored-parameters` lists every value except `auto`.")
    ] = None


class FilePart(Struct, frozen=True):
    """A file: PDF, text or an office document (Word, Excel, PowerPoint, OpenDocument, RTF, EPUB), up to 20 MiB."""

    file_data: Annotated[str | None, doc("A data URL, or base64.")] = None
    filename: Annotated[str | None, doc("The name of the file; the model sees it.")] = None
    file_id: Annotated[str | None, doc("Rejected: this server stores no files.")] = None


class PartSource(Struct, frozen=True):
    """The source of an Anthropic `image` or `document`."""

    type: Annotated[str, doc("`base64`, `url` or `text`.")] = ""
    media_type: Annotated[str, doc("The media type, such as `image/png` or `application/pdf`.")] = ""
    data: Annotated[str, doc("For `base64`: the data in base64. For `text`: the text.")] = ""
    url: Annotated[str, doc("For `url`: as `image_url.url`.")] = ""


class Part(Struct, frozen=True):
    """A content part of a message; its `type` determines which other fields are used.

    The formats of OpenAI's chat completions and responses and of Anthropic's messages are accepted.
    """

    type: Annotated[
        str,
        doc(
            "`text`, `image_url` or `file`. The other values are the names of the same parts in other APIs.",
            enum=PART_TYPES,
        ),
    ]
    text: Annotated[str | None, doc("For `text`: the text.")] = None
    refusal: Annotated[str | None, doc("For `refusal`: the text.")] = None
    image_url: Annotated[str | ImageUrl | None, doc("For `image_url`: the image.")] = None
    file: Annotated[FilePart | None, doc("For `file`: a PDF, text or office document.")] = None
    file_data: Annotated[str | None, doc("For `input_file`: as `file.file_data`.")] = None
    file_id: Annotated[str | None, doc("Rejected: this server stores no files.")] = None
    file_url: Annotated[str | None, doc("Rejected: the server does not fetch files; send `file_data`.")] = None
    filename: Annotated[str | None, doc("For `input_file`: as `file.filename`.")] = None
    source: Annotated[PartSource | None, doc("For `image` and `document`: the source, in Anthropic's format.")] = None
    title: Annotated[str | None, doc("For `document`: the title.")] = None
    context: Annotated[str | None, doc("For `document`: information about the document.")] = None
    id: Annotated[str | None, doc("For `tool_use`: the id of the call.")] = None
    name: Annotated[str | None, doc("For `tool_use`: the name of the tool.")] = None
    input: Annotated[msgspec.Raw, doc("For `tool_use`: the arguments.", type="object")] = raw_field(b"{}")
    tool_use_id: Annotated[str | None, doc("For `tool_result`: the id of the call.")] = None
    content: Annotated[msgspec.Raw, doc("For `tool_result`: the result of the tool.", anyOf=content_of("Part"))] = (
        raw_field()
    )
    is_error: Annotated[bool | None, doc("For `tool_result`: whether the tool failed.")] = None


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
    """A call of a function: its name and arguments."""

    name: Annotated[str, doc("The name of the function.")] = ""
    arguments: Annotated[
        msgspec.Raw,
        doc("A JSON object, as text. Invalid JSON reaches the model unchanged.", type=["string", "null"]),
    ] = raw_field()


class FunctionDefinition(Struct, frozen=True):
    """A function that the model may call."""

    name: Annotated[str, doc("The name; all characters are allowed. Calls contain it unchanged.", **TOOL_NAME)]
    description: Annotated[str | None, doc("What the function does and when to call it; the model reads this.")] = None
    parameters: Annotated[
        msgspec.Raw, doc("The JSON Schema of the arguments; it must describe an object.", type="object")
    ] = raw_field()
    strict: Annotated[
        bool | None,
        doc(
            "Whether a call is sent only if its arguments are valid against the schema. Such arguments are sent at once instead of streamed."
        ),
    ] = None


class CustomDefinition(Struct, frozen=True):
    """A tool whose input is free text."""

    name: Annotated[str, doc("The name.", **TOOL_NAME)]
    description: Annotated[str | None, doc("What the tool does and when to call it.")] = None
    format: Annotated[
        msgspec.Raw, doc("A grammar for the text. Ignored; the response lists it in `x-ignored-parameters`.")
    ] = raw_field()


class ToolDefinition(Struct, frozen=True):
    """A tool that the model may call.

    Nested under `function` or `custom` as in chat completions, or flat as in responses and Anthropic's messages.
    """

    type: Annotated[
        str | None,
        doc(
            "`function`, `custom` or, in responses, `namespace`. Default: `function`. Chat completions reject other types; responses ignore them, and `x-ignored-parameters` lists them."
        ),
    ] = None
    function: Annotated[FunctionDefinition | None, doc("For `function`: the function.")] = None
    custom: Annotated[CustomDefinition | None, doc("For `custom`: a tool whose input is free text.")] = None
    name: Annotated[str | None, doc("Flat form: the name.")] = None
    description: Annotated[str | None, doc("Flat form: the description.")] = None
    parameters: Annotated[msgspec.Raw, doc("Flat form: the JSON Schema of the arguments.", type="object")] = raw_field()
    input_schema: Annotated[msgspec.Raw, doc("Anthropic's name for `parameters`.", type="object")] = raw_field()
    format: Annotated[msgspec.Raw, doc("Flat form of a custom tool: as `custom.format`.")] = raw_field()
    strict: Annotated[bool | None, doc("Flat form: as `function.strict`.")] = None
    tools: Annotated[
        list[msgspec.Raw] | None,
        doc(
            "For `namespace`: its tools. A call contains the name of the tool and of the namespace.",
            items=ref("ToolDefinition"),
        ),
    ] = None


_FUNCTION_FIELDS = ("function", "name", "description", "parameters", "input_schema", "strict")
TOOL_DECODER = TaggedStructDecoder(
    ToolDefinition,
    "type",
    {
        "": ("custom", *_FUNCTION_FIELDS),
        "function": _FUNCTION_FIELDS,
        "custom": ("custom", "name", "description", "format"),
        "namespace": ("name", "description", "tools"),
    },
)


class ToolParams(Struct, frozen=True):
    """The fields of a request that define tools. functions, function_call: their legacy names."""

    tools: list[ToolDefinition] | None = None
    tool_choice: object = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | FunctionCall | None = None


class Item(Struct, frozen=True):
    """An item of the input; its `type` determines which other fields are used."""

    type: Annotated[
        str | None,
        doc(
            "The type. Default: `message`. Calls of tools that OpenAI runs are ignored; `x-ignored-parameters` lists them."
        ),
    ] = None
    id: Annotated[str | None, doc("The id of the item; for `item_reference`, the id of a stored item.")] = None
    role: Annotated[
        str | None,
        doc("For `message`: the role of its author.", enum=["system", "developer", "user", "assistant", None]),
    ] = None
    content: Annotated[msgspec.Raw, doc("For `message`: a text, or parts in order.", anyOf=content_of("Part"))] = (
        raw_field()
    )
    call_id: Annotated[str | None, doc("For calls and their results: the id of the call.")] = None
    name: Annotated[str | None, doc("For calls: the name of the tool.")] = None
    namespace: Annotated[str | None, doc("For calls: the namespace of the tool.")] = None
    arguments: Annotated[
        msgspec.Raw,
        doc(
            "For `function_call`: a JSON object, as text. Invalid JSON reaches the model unchanged.",
            type=["string", "null"],
        ),
    ] = raw_field()
    input: Annotated[str | None, doc("For `custom_tool_call`: free text.")] = None
    output: Annotated[msgspec.Raw, doc("For results: a text, or parts.")] = raw_field()
    action: Annotated[msgspec.Raw, doc("For shell calls: the command that was run.")] = raw_field()
    operation: Annotated[msgspec.Raw, doc("For `apply_patch_call`: the change that was made.")] = raw_field()
    status: Annotated[str | None, doc("For `apply_patch_call_output`: `failed` if the call failed.")] = None
    encrypted_content: Annotated[
        str | None,
        doc("For `reasoning`: the value from a response of this server; values from other servers are ignored."),
    ] = None


# Local shell calls had only an id at first.
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
