"""The parts and the tools of a request, in every vendor's form of them: clients post each other's to every address.

Law: these are shapes only; `api.content` and `api.tooling` say what they mean.
"""

import msgspec
from msgspec import Struct


class ImageUrl(Struct, frozen=True):
    """Where a picture is: a data URL or an https address. detail is for models that scale pictures; Claude's do not."""

    url: str
    detail: str | None = None


class FilePart(Struct, frozen=True):
    """A file in the request. file_data: a data URL or bare base64."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class Source(Struct, frozen=True):
    """The source of an Anthropic image or document block, which some OpenAI clients send."""

    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""


class Part(Struct, frozen=True):
    """A part of a message's content; which fields it has depends on its type."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None
    file: FilePart | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    source: Source | None = None
    title: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str | None = None
    content: "str | list[Part] | None" = None
    is_error: bool | None = None


class CalledFunction(Struct, frozen=True):
    """The function of a call. arguments: JSON, as text."""

    name: str = ""
    arguments: str | None = None


class FunctionDefinition(Struct, frozen=True):
    """A function on offer. parameters: its arguments' JSON Schema."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"null")
    strict: bool | None = None


class CustomDefinition(Struct, frozen=True):
    """A tool that takes free text. format: a grammar, which no Claude model can be held to."""

    name: str
    description: str | None = None
    format: msgspec.Raw = msgspec.Raw(b"null")


class ToolDefinition(Struct, frozen=True):
    """A tool on offer: nested as in chat completions, flat as in responses, or as Anthropic has it."""

    type: str | None = None
    function: FunctionDefinition | None = None
    custom: CustomDefinition | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"null")
    input_schema: msgspec.Raw = msgspec.Raw(b"null")
    format: msgspec.Raw = msgspec.Raw(b"null")
    strict: bool | None = None


class Offering(Struct, frozen=True):
    """The fields of a request that offer tools. functions, function_call: their legacy names."""

    tools: list[ToolDefinition] | None = None
    tool_choice: msgspec.Raw = msgspec.Raw(b"null")
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDefinition] | None = None
    function_call: str | CalledFunction | None = None


class StreamOptions(Struct, frozen=True):
    """What a stream has besides the answer."""

    include_usage: bool | None = None


class Item(Struct, frozen=True):
    """An item of the input; which fields it has depends on its type. content, output, action: read by its type."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: msgspec.Raw = msgspec.Raw(b"null")
    action: msgspec.Raw = msgspec.Raw(b"null")
    encrypted_content: str | None = None
