"""The blocks of a message as clients send them, each with the fields of its type. Pure.

Invariants: a field is checked only on the types that have it; what is not declared is accepted and means nothing; a type
that is not declared is the caller's to judge.
"""

from collections.abc import Sequence
from typing import get_args

import msgspec
from msgspec import Raw, Struct

from api.conversation.fields import decode_json

type Content = str | list[Raw] | None


class TextBlock(Struct, frozen=True, tag="text", tag_field="type"):
    """Words."""

    text: str


class ImageBlock(Struct, frozen=True, tag="image", tag_field="type"):
    """A picture."""

    source: Raw


class DocumentBlock(Struct, frozen=True, tag="document", tag_field="type"):
    """A file to read."""

    source: Raw
    title: str | None = None
    context: str | None = None


class SearchResultBlock(Struct, frozen=True, tag="search_result", tag_field="type"):
    """A passage that a search of the client's found. source: where it is from, as text."""

    source: str
    title: str | None = None
    content: str | list[Raw] | None = None


class ToolUseBlock(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A call the assistant made. input: an object, or whatever the client has in its place."""

    id: str
    name: str
    input: Raw = Raw(b"{}")


class ToolResultBlock(Struct, frozen=True, tag="tool_result", tag_field="type"):
    """The result of a call."""

    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None


class ThinkingBlock(Struct, frozen=True, tag="thinking", tag_field="type"):
    """The assistant's thinking. Without a signature the service does not take it back."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, frozen=True, tag="redacted_thinking", tag_field="type"):
    """The assistant's thinking, readable by the service only."""

    data: str


class CompactionBlock(Struct, frozen=True, tag="compaction", tag_field="type"):
    """A summary of an earlier part of the conversation; null where the summarizing failed."""

    content: str | None = None


class ConnectorTextBlock(Struct, frozen=True, tag="connector_text", tag_field="type"):
    """What the assistant wrote between calls for a reader who follows along."""

    connector_text: str | None = None
    text: str | None = None


class SystemBlock(Struct, frozen=True, tag="mid_conv_system", tag_field="type"):
    """An instruction among the blocks of a message, as the Claude Code CLI knows it."""

    content: str | list[Raw] | None = None
    text: str | None = None


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
    """Bytes in base64. media_type: what the client takes them for."""

    data: str
    media_type: str = ""


class TextSource(Struct, frozen=True, tag="text", tag_field="type"):
    """A document's text."""

    data: str


class UrlSource(Struct, frozen=True, tag="url", tag_field="type"):
    """The address of a picture or document."""

    url: str


class ContentSource(Struct, frozen=True, tag="content", tag_field="type"):
    """A document made of blocks."""

    content: str | list[Raw]


class FileSource(Struct, frozen=True, tag="file", tag_field="type"):
    """A file that was uploaded before."""


type Source = Base64Source | TextSource | UrlSource | ContentSource | FileSource

BLOCKS: tuple[type[Struct], ...] = get_args(Block.__value__)
SOURCES: tuple[type[Struct], ...] = get_args(Source.__value__)


class _Kind(Struct, frozen=True):
    """What every block and source has."""

    type: str


_kind = msgspec.json.Decoder(_Kind)
_content = msgspec.json.Decoder[Content](Content)
_block = msgspec.json.Decoder[Block](Block)
_source = msgspec.json.Decoder[Source](Source)


def decode_type(raw: Raw, where: str) -> str:
    """The type of a block or source. Raises Problem."""
    return decode_json(bytes(raw), _kind, where).type


def to_block(raw: Raw, where: str) -> Block:
    """A block of a type in `BLOCKS`. Raises Problem."""
    return decode_json(bytes(raw), _block, where)


def to_source(raw: Raw, where: str) -> Source:
    """A source of a type in `SOURCES`. Raises Problem."""
    return decode_json(bytes(raw), _source, where)


def to_content(raw: Raw, where: str) -> Content:
    """A text, or blocks that are still to be decoded. Raises Problem."""
    return decode_json(bytes(raw), _content, where)


def list_tags(structs: Sequence[type[Struct]]) -> tuple[str, ...]:
    """The types that these structs are for."""
    return tuple(str(struct.__struct_config__.tag) for struct in structs)


BLOCK_TYPES = frozenset(list_tags(BLOCKS))
SOURCE_TYPES = frozenset(list_tags(SOURCES))
