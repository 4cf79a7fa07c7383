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
# What parts are called at an address, for who sends others.
CHATS = "text, image_url and file"
RESPONSES = "input_text, output_text, input_image and input_file"

type Content = str | Sequence[Part] | None


def text_only(content: Content, where: str, known: str = CHATS) -> str:
    """The text of a message that takes nothing else. Raises Problem."""
    texts: list[str] = []
    for index, block in enumerate(blocks(content, where, known)):
        if not isinstance(block, Text):
            raise invalid(f"`{where}[{index}]`: only text may be here.", f"{where}[{index}].type")
        texts.append(block.text)
    return "".join(texts)


def blocks(content: Content, where: str, known: str = CHATS) -> tuple[DraftBlock, ...]:
    """The blocks of a message, Anthropic's tool blocks included. Raises Problem."""
    return _each(content, where, known, _block)


def parts(content: Content, where: str, known: str = CHATS) -> tuple[PartBlock, ...]:
    """The blocks of a tool's result. Raises Problem."""
    return _each(content, where, known, part)


def _each[B](content: Content, where: str, known: str, read: Callable[[Part, str, str], B]) -> tuple[B, ...]:
    match content:
        case None:
            return ()
        case str(text):
            return (read(Part(type="text", text=text), where, known),)
        case _:
            return tuple(read(item, f"{where}[{index}]", known) for index, item in enumerate(content))


def _block(item: Part, where: str, known: str) -> DraftBlock:
    match item.type:
        case "tool_use":
            if not item.id or not item.name:
                raise invalid(f"`{where}` needs an `id` and a `name`.", where)
            return ToolUse(item.id, item.name, bytes(item.input).decode())
        case "tool_result":
            if not item.tool_use_id:
                raise invalid(f"`{where}.tool_use_id` is missing.", f"{where}.tool_use_id")
            return DraftResult(item.tool_use_id, parts(item.content, f"{where}.content", known), bool(item.is_error))
        case _:
            return part(item, where, known)


def part(item: Part, where: str, known: str = CHATS) -> PartBlock:
    """The block of one part. known: what parts are called where it was sent to. Raises Problem."""
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
    raise invalid(f"`{where}`: parts of type `{item.type}` are not supported; {known} are.", f"{where}.type")


def _picture(item: Part, where: str) -> PartBlock:
    url = item.image_url.url if isinstance(item.image_url, ImageUrl) else item.image_url
    if item.source:
        url = item.source.url or f"data:{item.source.media_type};base64,{item.source.data}"
    if not url and item.file_id:
        raise invalid(f"`{where}`: no files are kept here; send `image_url`.", f"{where}.file_id")
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
    # Chat completions have a file's fields in `file`, Responses beside the type.
    inner = item.file or item
    place = f"{where}.file" if item.file or item.type == "file" else where
    if inner.file_data:
        return file(inner.file_data, inner.filename, where)
    if inner.file_id:
        raise invalid(f"`{where}`: no files are kept here; send `file_data`.", f"{place}.file_id")
    if item.file_url:
        raise invalid(f"`{where}`: files are not fetched from addresses; send `file_data`.", f"{where}.file_url")
    raise invalid(f"`{place}.file_data` is missing.", f"{place}.file_data")


def json_text(raw: msgspec.Raw) -> str:
    """JSON that was carried along unread, as text."""
    return bytes(raw).decode()
