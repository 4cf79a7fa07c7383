"""The parts of a message as blocks, whichever vendor's form they have. Pure.

Law: a part becomes the block that it is, in its place, or a refusal that names it; text parts are never joined by
characters of ours.
"""

from collections.abc import Callable, Sequence

import msgspec

from api.conversation import DraftBlock, DraftResult, PartBlock
from api.forms import ImageUrl, Part
from api.media import Remote, data_url, file
from api.problems import invalid
from shared.turn import Document, Text, ToolUse

TEXTS = ("text", "input_text", "output_text")
PICTURES = ("image_url", "input_image", "image")
FILES = ("file", "input_file", "document")

type Content = str | Sequence[Part] | None


def text_only(content: Content, where: str) -> str:
    """The text of a message that takes nothing else. Raises Problem."""
    texts: list[str] = []
    for index, block in enumerate(blocks(content, where)):
        if not isinstance(block, Text):
            raise invalid(f"`{where}[{index}]`: only text may be here.", f"{where}[{index}].type")
        texts.append(block.text)
    return "".join(texts)


def blocks(content: Content, where: str) -> tuple[DraftBlock, ...]:
    """The blocks of a message, Anthropic's tool blocks included. Raises Problem."""
    return _each(content, where, _block)


def parts(content: Content, where: str) -> tuple[PartBlock, ...]:
    """The blocks of a tool's result. Raises Problem."""
    return _each(content, where, part)


def _each[B](content: Content, where: str, read: Callable[[Part, str], B]) -> tuple[B, ...]:
    match content:
        case None:
            return ()
        case str(text):
            return (read(Part(type="text", text=text), where),)
        case _:
            return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(content))


def _block(item: Part, where: str) -> DraftBlock:
    match item.type:
        case "tool_use":
            if not item.id or not item.name:
                raise invalid(f"`{where}` needs an `id` and a `name`.", where)
            return ToolUse(item.id, item.name, bytes(item.input).decode())
        case "tool_result":
            if not item.tool_use_id:
                raise invalid(f"`{where}.tool_use_id` is missing.", f"{where}.tool_use_id")
            return DraftResult(item.tool_use_id, parts(item.content, f"{where}.content"), bool(item.is_error))
        case _:
            return part(item, where)


def part(item: Part, where: str) -> PartBlock:
    """The block of one part. Raises Problem."""
    if item.type in TEXTS:
        if item.text is None:
            raise invalid(f"`{where}.text` is missing.", f"{where}.text")
        return Text(item.text)
    if item.type == "refusal":
        return Text(item.refusal or item.text or "")
    if item.type in PICTURES:
        return _picture(item, where)
    if item.type in FILES:
        return _file(item, where)
    known = "text, image_url and file"
    raise invalid(f"`{where}`: parts of type `{item.type}` are not supported; {known} are.", f"{where}.type")


def _picture(item: Part, where: str) -> PartBlock:
    url = item.image_url.url if isinstance(item.image_url, ImageUrl) else item.image_url
    if item.source:
        url = item.source.url or f"data:{item.source.media_type};base64,{item.source.data}"
    if not url:
        raise invalid(f"`{where}.image_url` is missing.", f"{where}.image_url")
    if url[:5].lower() == "data:":
        return data_url(url, where)
    if url.partition(":")[0].lower() in {"http", "https"}:
        return Remote(url, where)
    raise invalid(f"`{where}`: a picture is given as a data URL or an https address.", f"{where}.image_url")


def _file(item: Part, where: str) -> PartBlock:
    if item.source and item.source.type == "text":
        return Document("text/plain", item.source.data, item.title)
    if item.source:
        return file(f"data:{item.source.media_type};base64,{item.source.data}", item.title, where)
    inner = item.file
    if inner and inner.file_id:
        raise invalid(f"`{where}`: no files are kept here; send `file_data`.", f"{where}.file.file_id")
    given = inner.file_data if inner else item.file_data
    if not given:
        raise invalid(f"`{where}.file.file_data` is missing.", f"{where}.file.file_data")
    return file(given, inner.filename if inner else item.filename, where)


def json_text(raw: msgspec.Raw) -> str:
    """JSON that was carried along unread, as text."""
    return bytes(raw).decode()
