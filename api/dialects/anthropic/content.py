"""Converts the blocks of Anthropic's messages to blocks of a Turn. Pure.

Invariants: each block is converted in its place or rejected by name. Text blocks are never joined with separators, and
thinking is sent back unchanged, with its signature. Blocks that only Anthropic can read are left out, and
`api.dialects.anthropic.ignored_fields` names them.
"""

import re
from collections.abc import Iterator

from msgspec import Raw

from api.conversation.drafts import DraftBlock, DraftResult, PartBlock
from api.conversation.fields import decode_json
from api.core.problems import Problem, invalid_problem
from api.dialects.anthropic.blocks import (
    BLOCK_DECODER,
    BLOCK_TYPES,
    SOURCE_DECODER,
    SOURCE_TYPES,
    Base64Source,
    Block,
    CompactionBlock,
    ConnectorTextBlock,
    Content,
    ContentSource,
    DocumentBlock,
    ImageBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    Source,
    SystemBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
    decode_type,
)
from api.media.blocks import RemoteDocument, RemoteMedia, read_base64_file, read_base64_image
from shared.turn import Document, RedactedThinking, Text, Thinking, ToolUse

# The work of Anthropic's own tools, and marks that only Anthropic reads. They have no content for the model, or none
# that the CLI can pass on.
DROPPED_TYPES = re.compile(
    r"server_tool_use|mcp_tool_use|mcp_tool_listing|tool_reference|\w+_tool_result|browser_state|container_upload|"
    r"fallback|tool_addition|tool_removal",
    re.ASCII,
)
SUPPORTED_TYPES = "text, image, document, search_result, tool_use, tool_result, thinking and redacted_thinking"
BLOCK_ROLES = {
    **dict.fromkeys(("tool_use", "thinking", "redacted_thinking"), "assistant"),
    **dict.fromkeys(("tool_result", "image", "document", "search_result"), "user"),
}


def parse_texts(content: Content, where: str) -> tuple[str, ...]:
    """Returns the texts of a system prompt, one for each block. Raises Problem."""
    if isinstance(content, str):
        return (content,)
    found: list[str] = []
    for place, kind, raw in iterate_blocks(content or [], where):
        if kind != "text":
            raise invalid_problem(f"`{place}`: only text blocks are allowed here.", f"{place}.type")
        found += [
            each.text for each in to_parts(_decode_known_block(kind, raw, place), place) if isinstance(each, Text)
        ]
    return tuple(found)


def parse_blocks(content: Content, role: str, where: str) -> tuple[DraftBlock, ...]:
    """Returns the blocks of a message. Raises Problem."""
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(
        block for place, kind, raw in iterate_blocks(content, where) for block in _parse_block(kind, raw, role, place)
    )


def iterate_blocks(content: list[Raw], where: str) -> Iterator[tuple[str, str, Raw]]:
    """Yields the place, the type and the JSON of each block that is not left out. Raises Problem."""
    for index, raw in enumerate(content):
        place = f"{where}[{index}]"
        kind = decode_type(raw, place)
        if not DROPPED_TYPES.fullmatch(kind):
            yield place, kind, raw


def _parse_block(kind: str, raw: Raw, role: str, where: str) -> tuple[DraftBlock, ...]:
    if BLOCK_ROLES.get(kind, role) != role:
        raise invalid_problem(
            f"`{where}`: `{kind}` is only allowed in messages of the role {BLOCK_ROLES[kind]}.", where
        )
    match _decode_known_block(kind, raw, where):
        case ToolUseBlock() as block:
            return (ToolUse(block.id, block.name, bytes(block.input).decode()),)
        case ToolResultBlock() as block:
            return (
                DraftResult(block.tool_use_id, parse_parts(block.content, f"{where}.content"), bool(block.is_error)),
            )
        case ThinkingBlock(thinking, signature):
            # Thinking that was cut off has no signature, and the service accepts none without.
            return (Thinking(thinking, signature),) if signature else ()
        case RedactedThinkingBlock(data):
            return (RedactedThinking(data),)
        case block:
            return to_parts(block, where)


def _decode_known_block(kind: str, raw: Raw, where: str) -> Block:
    """Decodes a block of a known type. Raises Problem."""
    if kind not in BLOCK_TYPES:
        raise invalid_problem(
            f"`{where}`: blocks of type `{kind}` are not supported; {SUPPORTED_TYPES} are.", f"{where}.type"
        )
    return decode_json(bytes(raw), BLOCK_DECODER, where)


def parse_parts(content: Content, where: str) -> tuple[PartBlock, ...]:
    """Returns the blocks of a tool result. Raises Problem."""
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(
        part
        for place, kind, raw in iterate_blocks(content, where)
        for part in to_parts(_decode_known_block(kind, raw, place), place)
    )


def to_parts(block: Block, where: str) -> tuple[PartBlock, ...]:
    """Converts a block to text, images or documents. Raises Problem."""
    match block:
        case TextBlock(text):
            return (Text(text),)
        case ImageBlock(source):
            return (to_image(_decode_source(source, where), f"{where}.source"),)
        case DocumentBlock(source):
            return (to_document(block, _decode_source(source, where), f"{where}.source"),)
        case SearchResultBlock():
            passage = "\n".join(parse_texts(block.content, f"{where}.content"))
            # The service rejects a document without text.
            text = passage if passage.strip() else block.source
            return (Document("text/plain", text, block.title, block.source),)
        case CompactionBlock(content):
            return (Text(content),) if content else ()
        case ConnectorTextBlock(connector_text, text):
            content = connector_text or text
            return (Text(content),) if content else ()
        case SystemBlock(content, text):
            return tuple(Text(each) for each in (*parse_texts(content, f"{where}.content"), text) if each)
        case _:
            kind = str(block.__struct_config__.tag)
            raise invalid_problem(f"`{where}`: `{kind}` is not allowed in a tool result.", f"{where}.type")


def _decode_source(raw: Raw, where: str) -> Source:
    """Decodes the source of an image or document. Raises Problem."""
    place = f"{where}.source"
    kind = decode_type(raw, place)
    if kind not in SOURCE_TYPES:
        raise invalid_problem(f"`{place}.type` must be base64, url, text or content, not `{kind}`.", f"{place}.type")
    return decode_json(bytes(raw), SOURCE_DECODER, place)


def to_image(source: Source, place: str) -> PartBlock:
    """Converts the source of an image. Raises Problem."""
    match source:
        case Base64Source(data, media_type):
            return read_base64_image(data, media_type, place)
        case UrlSource(url):
            return RemoteMedia(_check_url(url, place), place)
        case TextSource() | ContentSource():
            raise invalid_problem(f"`{place}.type` must be base64 or url for an image.", f"{place}.type")
        case _:
            raise _no_files_problem(place)


def to_document(block: DocumentBlock, source: Source, place: str) -> PartBlock:
    """Converts a document. Raises Problem."""
    match source:
        case Base64Source(data, media_type):
            return read_base64_file(data, media_type, block.title, place, context=block.context)
        case TextSource(data):
            return Document("text/plain", data, block.title, block.context)
        case ContentSource(content):
            text = "\n".join(parse_texts(content, f"{place}.content"))
            return Document("text/plain", text, block.title, block.context)
        case UrlSource(url):
            return RemoteDocument(_check_url(url, place), place, block.title, block.context)
        case _:
            raise _no_files_problem(place)


def _check_url(url: str, place: str) -> str:
    if url.partition(":")[0].lower() not in {"http", "https"}:
        raise invalid_problem(f"`{place}.url` must be an http or https URL.", f"{place}.url")
    return url


def _no_files_problem(place: str) -> Problem:
    return invalid_problem(f"`{place}`: the server stores no files; send the bytes as base64.", f"{place}.type")


def is_dropped(block: dict[str, object]) -> bool:
    """Whether nothing of a block reaches the model."""
    kind = block.get("type")
    match kind:
        case "compaction":
            return not block.get("content")
        case "thinking":
            return isinstance(block.get("thinking"), str) and not block.get("signature")
        case str():
            return DROPPED_TYPES.fullmatch(kind) is not None
        case _:
            return False
