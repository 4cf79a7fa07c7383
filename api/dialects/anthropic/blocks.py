"""The content blocks and sources that clients send, each with the fields of its type. Pure.

Invariants: a field is checked only on the types that have it. Undeclared fields are accepted and ignored. Callers of this
module decide about undeclared types.
"""

from collections.abc import Sequence
from typing import Annotated, get_args

import msgspec
from msgspec import Raw, Struct

from api.conversation.fields import decode_json
from api.core.schema import any_of, doc, raw_field, ref

ANY_BLOCK = any_of(
    *("TextBlock", "ImageBlock", "DocumentBlock", "SearchResultBlock", "ToolUseBlock", "ToolResultBlock"),
    *("ThinkingBlock", "RedactedThinkingBlock", "CompactionBlock", "ConnectorTextBlock", "SystemBlock"),
)
ANY_SOURCE = any_of("Base64Source", "TextSource", "UrlSource", "ContentSource", "FileSource")

type Content = str | list[Raw] | None


class TextBlock(Struct, frozen=True, tag="text", tag_field="type"):
    """Text."""

    text: Annotated[str, doc("The words.")]


class ImageBlock(Struct, frozen=True, tag="image", tag_field="type"):
    """An image, in a user message or in a tool result."""

    source: Annotated[Raw, doc("Where it is.", **ANY_SOURCE)]


class DocumentBlock(Struct, frozen=True, tag="document", tag_field="type"):
    """A document, in a user message or in a tool result."""

    source: Annotated[Raw, doc("Where it is.", **ANY_SOURCE)]
    title: Annotated[str | None, doc("Its name.")] = None
    context: Annotated[str | None, doc("What is said of it beside it.")] = None


class SearchResultBlock(Struct, frozen=True, tag="search_result", tag_field="type"):
    """A passage that a search found."""

    source: Annotated[str, doc("Where it is from, as text.")]
    title: Annotated[str | None, doc("Its title.")] = None
    content: Annotated[str | list[Raw] | None, doc("The passage, in text blocks.", items=ref("TextBlock"))] = None


class ToolUseBlock(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A tool call of the assistant."""

    id: Annotated[str, doc("The call's id.")]
    name: Annotated[str, doc("The tool that it is for.")]
    input: Annotated[Raw, doc("Its arguments: an object. Anything else reaches the model as the text that it is.")] = (
        raw_field(b"{}")
    )


class ToolResultBlock(Struct, frozen=True, tag="tool_result", tag_field="type"):
    """The result of a tool call."""

    tool_use_id: Annotated[str, doc("The call that it answers.")]
    content: Annotated[
        str | list[Raw] | None,
        doc("A text, or blocks of text, pictures, documents and search results.", items=ANY_BLOCK),
    ] = None
    is_error: Annotated[bool | None, doc("Whether the call failed.")] = None


class ThinkingBlock(Struct, frozen=True, tag="thinking", tag_field="type"):
    """Thinking of an earlier answer, sent back."""

    thinking: Annotated[str, doc("Its words, which may be none.")]
    signature: Annotated[str | None, doc("The service's signature of them. Thinking without one is left out.")] = None


class RedactedThinkingBlock(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """Thinking that only the service can read."""

    data: Annotated[str, doc("The thinking.")]


class CompactionBlock(Struct, frozen=True, tag="compaction", tag_field="type"):
    """A summary of an earlier part of the conversation. Reaches the model as text."""

    content: Annotated[str | None, doc("The summary.")] = None


class ConnectorTextBlock(Struct, frozen=True, tag="connector_text", tag_field="type"):
    """Text of the assistant between tool calls. Reaches the model as text."""

    connector_text: Annotated[str | None, doc("The words.")] = None
    text: Annotated[str | None, doc("The words, by another name.")] = None


class SystemBlock(Struct, frozen=True, tag="mid_conv_system", tag_field="type"):
    """A system instruction inside a message. Reaches the model as text."""

    content: Annotated[str | list[Raw] | None, doc("A text, or text blocks.", items=ref("TextBlock"))] = None
    text: Annotated[str | None, doc("The words, by another name.")] = None


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
    """The bytes of a file."""

    data: Annotated[str, doc("The bytes in base64.")]
    media_type: Annotated[str, doc("What the bytes are.")] = ""


class TextSource(Struct, frozen=True, tag="text", tag_field="type"):
    """A document's text."""

    data: Annotated[str, doc("The text.")]


class UrlSource(Struct, frozen=True, tag="url", tag_field="type"):
    """The URL of a file."""

    url: Annotated[str, doc("The address of a picture, a PDF or a text, which the server fetches.")]


class ContentSource(Struct, frozen=True, tag="content", tag_field="type"):
    """A document made of text blocks."""

    content: Annotated[str | list[Raw], doc("A text, or text blocks.", items=ref("TextBlock"))]


class FileSource(Struct, frozen=True, tag="file", tag_field="type"):
    """A file that was uploaded earlier. Rejected: the server stores no files."""


type Source = Base64Source | TextSource | UrlSource | ContentSource | FileSource

BLOCKS: tuple[type[Struct], ...] = get_args(Block.__value__)
SOURCES: tuple[type[Struct], ...] = get_args(Source.__value__)


class _Kind(Struct, frozen=True):
    """The field that every block and source has."""

    type: str


_kind = msgspec.json.Decoder(_Kind)
_content = msgspec.json.Decoder[Content](Content)
_block = msgspec.json.Decoder[Block](Block)
_source = msgspec.json.Decoder[Source](Source)


def decode_type(raw: Raw, where: str) -> str:
    """Returns the type of a block or source. Raises Problem."""
    return decode_json(bytes(raw), _kind, where).type


def to_block(raw: Raw, where: str) -> Block:
    """Decodes a block of a type in `BLOCKS`. Raises Problem."""
    return decode_json(bytes(raw), _block, where)


def to_source(raw: Raw, where: str) -> Source:
    """Decodes a source of a type in `SOURCES`. Raises Problem."""
    return decode_json(bytes(raw), _source, where)


def to_content(raw: Raw, where: str) -> Content:
    """Decodes content: a text, or blocks that are still raw. Raises Problem."""
    return decode_json(bytes(raw), _content, where)


def list_tags(structs: Sequence[type[Struct]]) -> tuple[str, ...]:
    """Returns the types of these structs."""
    return tuple(str(struct.__struct_config__.tag) for struct in structs)


BLOCK_TYPES = frozenset(list_tags(BLOCKS))
SOURCE_TYPES = frozenset(list_tags(SOURCES))
