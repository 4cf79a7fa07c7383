"""The content blocks of a message as clients send them, each with the fields of its type. Pure.

Invariants: a field is checked only on the types that have it. Unknown fields are ignored. The caller of this module
handles unknown types.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import msgspec
from msgspec import Raw, Struct

from api.conversation.fields import decode_json
from api.core.schema import NotEmpty, any_of, doc, raw_field, ref

ANY_BLOCK = any_of(
    *("TextBlock", "ImageBlock", "DocumentBlock", "SearchResultBlock", "ToolUseBlock", "ToolResultBlock"),
    *("ThinkingBlock", "RedactedThinkingBlock", "CompactionBlock", "ConnectorTextBlock", "SystemBlock"),
)
ANY_SOURCE = any_of("Base64Source", "TextSource", "UrlSource", "ContentSource", "FileSource")

type Content = str | list[Raw] | None


class TextBlock(Struct, frozen=True, tag="text", tag_field="type"):
    """Text."""

    text: Annotated[str, doc("The text.")]


class ImageBlock(Struct, frozen=True, tag="image", tag_field="type"):
    """An image in a user message or in a tool result."""

    source: Annotated[Raw, doc("The source of the image.", **ANY_SOURCE)]


class DocumentBlock(Struct, frozen=True, tag="document", tag_field="type"):
    """A document in a user message or in a tool result."""

    source: Annotated[Raw, doc("The source of the document.", **ANY_SOURCE)]
    title: Annotated[str | None, doc("The title of the document.")] = None
    context: Annotated[str | None, doc("Information about the document.")] = None


class SearchResultBlock(Struct, frozen=True, tag="search_result", tag_field="type"):
    """A search result."""

    source: Annotated[str, doc("Where the passage comes from, such as a URL.")]
    title: Annotated[str | None, doc("The title of the source.")] = None
    content: Annotated[str | list[Raw] | None, doc("The passage: a text, or text blocks.", items=ref("TextBlock"))] = (
        None
    )


class ToolUseBlock(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A tool call by the assistant."""

    id: Annotated[NotEmpty, doc("The id of the call.")]
    name: Annotated[NotEmpty, doc("The name of the tool.")]
    input: Annotated[Raw, doc("The arguments: an object. Any other value reaches the model as text.")] = raw_field(
        b"{}"
    )


class ToolResultBlock(Struct, frozen=True, tag="tool_result", tag_field="type"):
    """The result of a tool call."""

    tool_use_id: Annotated[NotEmpty, doc("The id of the call.")]
    content: Annotated[
        str | list[Raw] | None,
        doc("A text, or blocks: text, images, documents and search results.", items=ANY_BLOCK),
    ] = None
    is_error: Annotated[bool | None, doc("Whether the call failed.")] = None


class ThinkingBlock(Struct, frozen=True, tag="thinking", tag_field="type"):
    """Thinking from an earlier answer."""

    thinking: Annotated[str, doc("The text of the thinking; it may be empty.")]
    signature: Annotated[
        str | None, doc("The service's signature of the thinking. Thinking without a signature is ignored.")
    ] = None


class RedactedThinkingBlock(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """Thinking from an earlier answer, readable only by the service."""

    data: Annotated[NotEmpty, doc("The encrypted thinking.")]


class CompactionBlock(Struct, frozen=True, tag="compaction", tag_field="type"):
    """A summary of an earlier part of the conversation. It reaches the model as text."""

    content: Annotated[str | None, doc("The summary.")] = None


class ConnectorTextBlock(Struct, frozen=True, tag="connector_text", tag_field="type"):
    """Text that the assistant wrote between calls. It reaches the model as text."""

    connector_text: Annotated[str | None, doc("The text.")] = None
    text: Annotated[str | None, doc("Another name of the field.")] = None


class SystemBlock(Struct, frozen=True, tag="mid_conv_system", tag_field="type"):
    """An instruction among the blocks of a message. It reaches the model as text."""

    content: Annotated[str | list[Raw] | None, doc("A text, or text blocks.", items=ref("TextBlock"))] = None
    text: Annotated[str | None, doc("Another name of the field.")] = None


type Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | CompactionBlock
    | ConnectorTextBlock
    | SystemBlock
)


class Base64Source(Struct, frozen=True, tag="base64", tag_field="type"):
    """Data in base64."""

    data: Annotated[str, doc("The data, in base64.")]
    media_type: Annotated[str, doc("The media type of the data.")] = ""


class TextSource(Struct, frozen=True, tag="text", tag_field="type"):
    """A document as text."""

    data: Annotated[str, doc("The text.")]


class UrlSource(Struct, frozen=True, tag="url", tag_field="type"):
    """A URL."""

    url: Annotated[str, doc("The URL of an image, PDF or text. The server fetches it.")]


class ContentSource(Struct, frozen=True, tag="content", tag_field="type"):
    """A document that consists of text blocks."""

    content: Annotated[str | list[Raw], doc("A text, or text blocks.", items=ref("TextBlock"))]


class FileSource(Struct, frozen=True, tag="file", tag_field="type"):
    """An uploaded file. Rejected: this server stores no files."""


type Source = Base64Source | TextSource | UrlSource | ContentSource | FileSource

BLOCKS: tuple[type[Struct], ...] = get_args(Block.__value__)
SOURCES: tuple[type[Struct], ...] = get_args(Source.__value__)


class _Kind(Struct, frozen=True):
    """The field that every block and source has."""

    type: str


_kind = msgspec.json.Decoder(_Kind)
BLOCK_DECODER = msgspec.json.Decoder[Block](Block)
SOURCE_DECODER = msgspec.json.Decoder[Source](Source)


def decode_type(raw: Raw, where: str) -> str:
    """Returns the type of a block or source. Raises Problem."""
    return decode_json(bytes(raw), _kind, where).type


def list_tags(structs: Sequence[type[Struct]]) -> tuple[str, ...]:
    """Returns the types of these structs."""
    return tuple(str(struct.__struct_config__.tag) for struct in structs)


BLOCK_TYPES = frozenset(list_tags(BLOCKS))
SOURCE_TYPES = frozenset(list_tags(SOURCES))
