"""The blocks of Anthropic's messages as blocks of a Turn. Pure.

Law: a block becomes what it is, in its place, or a refusal that names it; text blocks are never joined by characters of
ours, and thinking goes back as it came, with its signature. What the vendor's own tools did is left out.
"""

import re
from collections.abc import Iterator

import msgspec

from api.anthropic.models import BlockSource, ContentBlock
from api.conversation import DraftBlock, DraftResult, PartBlock
from api.fields import decoded
from api.media import Remote, data_url, file, with_context
from api.problems import invalid
from shared.turn import Document, Image, RedactedThinking, Text, Thinking, ToolUse

type Content = str | list[ContentBlock] | None

# What the vendor's own tools did, which can't be told to the model by the CLI.
HOSTED = re.compile(r"server_tool_use|mcp_tool_use|mcp_tool_listing|tool_reference|\w+_tool_result")

_content = msgspec.json.Decoder[Content](Content)


def texts(content: Content, where: str) -> tuple[str, ...]:
    """The texts of a system prompt, one for each block. Raises Problem."""
    if isinstance(content, str):
        return (content,)
    found: list[str] = []
    for index, item in enumerate(content or []):
        if item.type != "text" or item.text is None:
            raise invalid(f"`{where}[{index}]`: only text may be here.", f"{where}[{index}].type")
        found.append(item.text)
    return tuple(found)


def blocks(content: Content, role: str, where: str) -> tuple[DraftBlock, ...]:
    """The blocks of a message. Raises Problem."""
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(block(item, role, place) for place, item in own(content, where))


def own(content: list[ContentBlock], where: str) -> Iterator[tuple[str, ContentBlock]]:
    """All but what the vendor's own tools did, each with its place."""
    for index, item in enumerate(content):
        if not HOSTED.fullmatch(item.type):
            yield f"{where}[{index}]", item


def block(item: ContentBlock, role: str, where: str) -> DraftBlock:
    """One block of a message. Raises Problem."""
    owner = {"tool_use": "assistant", "thinking": "assistant", "redacted_thinking": "assistant", "tool_result": "user"}
    if owner.get(item.type, role) != role:
        raise invalid(f"`{where}`: `{item.type}` belongs into messages of the role {owner[item.type]}.", where)
    match item.type:
        case "tool_use":
            return call(item, where)
        case "tool_result":
            if not item.tool_use_id:
                raise invalid(f"`{where}.tool_use_id` is missing.", f"{where}.tool_use_id")
            return DraftResult(item.tool_use_id, parts(item.content, f"{where}.content"), bool(item.is_error))
        case "thinking" | "redacted_thinking":
            return thought(item, where)
        case _:
            return part(item, where)


def call(item: ContentBlock, where: str) -> ToolUse:
    """A call of the assistant's. Raises Problem."""
    if not item.id or not item.name:
        raise invalid(f"`{where}` needs an `id` and a `name`.", where)
    if not bytes(item.input).startswith(b"{"):
        raise invalid(f"`{where}.input` must be an object.", f"{where}.input")
    return ToolUse(item.id, item.name, bytes(item.input).decode())


def thought(item: ContentBlock, where: str) -> Thinking | RedactedThinking:
    """What the assistant thought. Raises Problem."""
    if item.type == "redacted_thinking":
        if not item.data:
            raise invalid(f"`{where}.data` is missing.", f"{where}.data")
        return RedactedThinking(item.data)
    if item.thinking is None or not item.signature:
        raise invalid(f"`{where}` needs its `thinking` and the `signature` it came with.", where)
    return Thinking(item.thinking, item.signature)


def parts(raw: msgspec.Raw, where: str) -> tuple[PartBlock, ...]:
    """The blocks of a tool's result. Raises Problem."""
    content = decoded(bytes(raw), _content, where)
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    return tuple(part(item, place) for place, item in own(content, where))


def part(item: ContentBlock, where: str) -> PartBlock:
    """Text, a picture, a document or what a search found. Raises Problem."""
    match item.type:
        case "text":
            if item.text is None:
                raise invalid(f"`{where}.text` is missing.", f"{where}.text")
            return Text(item.text)
        case "search_result":
            return finding(item, where)
        case "image" | "document":
            if not isinstance(item.source, BlockSource):
                fault = "is missing" if item.source is None else "must be an object"
                raise invalid(f"`{where}.source` {fault}.", f"{where}.source")
            return picture(item.source, where) if item.type == "image" else document(item, item.source, where)
        case other:
            known = "text, image, document, search_result, tool_use, tool_result, thinking and redacted_thinking"
            raise invalid(f"`{where}`: blocks of type `{other}` are not supported; {known} are.", f"{where}.type")


def finding(item: ContentBlock, where: str) -> Document:
    """What a search of the client's found, as a text with its title and where it is from. Raises Problem."""
    if not isinstance(item.source, str):
        raise invalid(f"`{where}.source` must be a text.", f"{where}.source")
    found = "\n".join(texts(decoded(bytes(item.content), _content, f"{where}.content"), f"{where}.content"))
    # The service takes no document without words.
    return Document("text/plain", found if found.strip() else item.source, item.title, item.source)


def picture(source: BlockSource, where: str) -> PartBlock:
    """A picture, by its source. Raises Problem."""
    place = f"{where}.source"
    match source.type:
        case "base64":
            return data_url(f"data:{source.media_type};base64,{source.data}", place)
        case "url" if source.url.partition(":")[0].lower() in {"http", "https"}:
            return Remote(source.url, place)
        case "url":
            raise invalid(f"`{place}.url` must be an https address.", f"{place}.url")
        case "file":
            raise invalid(f"`{place}`: no files are kept here; send the bytes as base64.", f"{place}.type")
        case other:
            raise invalid(f"`{place}.type` must be base64 or url, not `{other}`.", f"{place}.type")


def document(item: ContentBlock, source: BlockSource, where: str) -> PartBlock:
    """A document, by its source. Raises Problem."""
    place = f"{where}.source"
    match source.type:
        case "base64":
            read = file(f"data:{source.media_type};base64,{source.data}", item.title, place)
            return read if isinstance(read, Image) else with_context(read, item.context)
        case "text":
            return Document("text/plain", source.data, item.title, item.context)
        case "content":
            text = "\n".join(texts(source.content, f"{place}.content"))
            return Document("text/plain", text, item.title, item.context)
        case "url":
            message = f"`{place}`: documents are not fetched from addresses; send the bytes as base64."
            raise invalid(message, f"{place}.type")
        case "file":
            raise invalid(f"`{place}`: no files are kept here; send the bytes as base64.", f"{place}.type")
        case other:
            raise invalid(f"`{place}.type` must be base64, text or content, not `{other}`.", f"{place}.type")
