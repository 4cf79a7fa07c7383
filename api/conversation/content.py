"""The parts of a message as blocks, whichever vendor's form they have. Pure.

Law: a part becomes the block that it is, in its place, or a refusal that names it; text parts are never joined by
characters of ours.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import structs

from api.conversation.drafts import DraftBlock, DraftResult, PartBlock
from api.conversation.fields import decoded
from api.conversation.parts import PARTS, ImageUrl, Part
from api.core.problems import invalid
from api.media.blocks import Remote, data_url, file
from shared.turn import Document, Image, Role, Text, ToolUse

TEXTS = ("text", "input_text", "output_text")
PICTURES = ("image_url", "input_image", "image")
FILES = ("file", "input_file", "document")
# What parts are called at an address, for who sends others.
CHATS = "text, image_url and file"
RESPONSES = "input_text, output_text, input_image and input_file"

type Content = str | Sequence[msgspec.Raw] | None

_content = msgspec.json.Decoder[Content](str | list[msgspec.Raw] | None)


def content_of(raw: msgspec.Raw, where: str) -> Content:
    """The content of a message or of a result, its parts unread. Raises Problem."""
    return decoded(bytes(raw), _content, where)


def texts(content: Content, where: str, known: str = CHATS) -> tuple[Text, ...]:
    """The texts of a message that takes nothing else. Raises Problem."""
    found: list[Text] = []
    for index, block in enumerate(_each(content, where, known, part)):
        if not isinstance(block, Text):
            raise invalid(f"`{where}[{index}]`: only text may be here.", f"{where}[{index}].type")
        found.append(block)
    return tuple(found)


def blocks(content: Content, role: Role, where: str, known: str = CHATS) -> tuple[DraftBlock, ...]:
    """The blocks of a message of the user's or the assistant's, Anthropic's tool blocks included. Raises Problem."""
    read = _each(content, where, known, _block)
    for index, block in enumerate(read):
        place = f"{where}[{index}]"
        if role == "assistant" and isinstance(block, Image | Document | Remote):
            message = f"`{place}`: a message of the assistant's holds no pictures and no files; send it as the user's."
            raise invalid(message, f"{place}.type")
        if isinstance(block, ToolUse) and role != "assistant":
            raise invalid(f"`{place}`: `tool_use` belongs into messages of the role assistant.", f"{place}.type")
        if isinstance(block, DraftResult) and role != "user":
            raise invalid(f"`{place}`: `tool_result` belongs into messages of the role user.", f"{place}.type")
    return read


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
            places = [f"{where}[{index}]" for index in range(len(content))]
            return tuple(read(PARTS.read(raw, place), place, known) for raw, place in zip(content, places, strict=True))


def _block(item: Part, where: str, known: str) -> DraftBlock:
    match item.type:
        case "tool_use":
            if not item.id or not item.name:
                raise invalid(f"`{where}` needs an `id` and a `name`.", where)
            return ToolUse(item.id, item.name, arguments(item.input, f"{where}.input"))
        case "tool_result":
            if not item.tool_use_id:
                raise invalid(f"`{where}.tool_use_id` is missing.", f"{where}.tool_use_id")
            place = f"{where}.content"
            return DraftResult(
                item.tool_use_id, parts(content_of(item.content, place), place, known), bool(item.is_error)
            )
        case _:
            return part(item, where, known)


def arguments(raw: msgspec.Raw, where: str) -> str:
    """The arguments of a call as the model wrote them, readable or not; without any, an empty object.

    Raises Problem for an object in an object without end, which nothing that comes after could read.
    """
    sent = bytes(raw)
    if sent == b"null":
        return "{}"
    text = (msgspec.json.decode(sent, type=str) if sent.startswith(b'"') else sent.decode()) or "{}"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except RecursionError:
        raise invalid(f"`{where}` is nested too deeply.", where) from None
    except msgspec.DecodeError:
        pass
    return text


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
        return Document("text/plain", item.source.data, item.title, item.context)
    if item.source:
        read = file(f"data:{item.source.media_type};base64,{item.source.data}", item.title, where)
        return structs.replace(read, context=item.context) if isinstance(read, Document) else read
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
