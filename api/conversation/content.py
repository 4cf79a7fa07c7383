"""Converts the parts of a message into blocks, whichever vendor's form they have. Pure.

Invariants: each part becomes one block, in order, or a problem that names it; text parts are never joined with added
characters.
"""

from collections.abc import Callable

import msgspec

from api.conversation.drafts import DraftBlock, DraftResult, PartBlock
from api.conversation.fields import decode_json
from api.conversation.parts import PART_DECODER, ImageUrl, Part
from api.core.problems import invalid_problem
from api.media.blocks import (
    RemoteMedia,
    read_base64_file,
    read_base64_image,
    read_data_url,
    read_file_data,
)
from shared.turn import Document, Image, Role, Text, ToolUse

TEXT_TYPES = ("text", "input_text", "output_text")
IMAGE_TYPES = ("image_url", "input_image", "image")
FILE_TYPES = ("file", "input_file", "document")
# The part types of an endpoint, for the message about an unknown one.
CHAT_PART_NAMES = "text, image_url and file"
RESPONSES_PART_NAMES = "input_text, output_text, input_image and input_file"

_content = msgspec.json.Decoder(str | list[msgspec.Raw] | None)


def parse_texts(raw: msgspec.Raw, where: str, known: str = CHAT_PART_NAMES) -> tuple[Text, ...]:
    """Returns the texts of a message that allows only text. Raises Problem."""
    texts: list[Text] = []
    for index, block in enumerate(_parse_each(raw, where, known, parse_part)):
        if not isinstance(block, Text):
            raise invalid_problem(f"`{where}[{index}]`: only text is allowed here.", f"{where}[{index}].type")
        texts.append(block)
    return tuple(texts)


def parse_blocks(raw: msgspec.Raw, role: Role, where: str, known: str = CHAT_PART_NAMES) -> tuple[DraftBlock, ...]:
    """Returns the blocks of a user or assistant message, including Anthropic's tool blocks. Raises Problem."""
    blocks = _parse_each(raw, where, known, _parse_block)
    for index, block in enumerate(blocks):
        place = f"{where}[{index}]"
        if role == "assistant" and isinstance(block, Image | Document | RemoteMedia):
            message = f"`{place}`: assistant messages can't hold images or files; send it in a user message."
            raise invalid_problem(message, f"{place}.type")
        if isinstance(block, ToolUse) and role != "assistant":
            raise invalid_problem(f"`{place}`: `tool_use` is allowed only in assistant messages.", f"{place}.type")
        if isinstance(block, DraftResult) and role != "user":
            raise invalid_problem(f"`{place}`: `tool_result` is allowed only in user messages.", f"{place}.type")
    return blocks


def parse_parts(raw: msgspec.Raw, where: str, known: str = CHAT_PART_NAMES) -> tuple[PartBlock, ...]:
    """Returns the blocks of a tool result. Raises Problem."""
    return _parse_each(raw, where, known, parse_part)


def _parse_each[B](raw: msgspec.Raw, where: str, known: str, parse: Callable[[Part, str, str], B]) -> tuple[B, ...]:
    content = decode_json(bytes(raw), _content, where)
    if isinstance(content, str):
        return (parse(Part(type="text", text=content), where, known),)
    places = [(part, f"{where}[{index}]") for index, part in enumerate(content or ())]
    return tuple(parse(PART_DECODER.decode(part, place), place, known) for part, place in places)


def _parse_block(item: Part, where: str, known: str) -> DraftBlock:
    match item.type:
        case "tool_use":
            if not item.id or not item.name:
                raise invalid_problem(f"`{where}` needs an `id` and a `name`.", where)
            return ToolUse(item.id, item.name, read_arguments(item.input, f"{where}.input"))
        case "tool_result":
            if not item.tool_use_id:
                raise invalid_problem(f"`{where}.tool_use_id` is missing.", f"{where}.tool_use_id")
            parts = parse_parts(item.content, f"{where}.content", known)
            return DraftResult(item.tool_use_id, parts, bool(item.is_error))
        case _:
            return parse_part(item, where, known)


def read_arguments(raw: msgspec.Raw, where: str) -> str:
    """Returns the arguments of a call as the model wrote them, valid or not; an empty object if there are none.

    Raises Problem for arguments that are nested too deeply for later steps to read.
    """
    sent = bytes(raw)
    if sent == b"null":
        return "{}"
    text = (msgspec.json.decode(sent, type=str) if sent.startswith(b'"') else sent.decode()) or "{}"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except RecursionError:
        raise invalid_problem(f"`{where}` is nested too deeply.", where) from None
    except msgspec.DecodeError:
        pass
    return text


def parse_part(item: Part, where: str, known: str = CHAT_PART_NAMES) -> PartBlock:
    """Returns the block of one part. known: the part types of the endpoint. Raises Problem."""
    if item.type in TEXT_TYPES:
        if item.text is None:
            raise invalid_problem(f"`{where}.text` is missing.", f"{where}.text")
        return Text(item.text)
    if item.type == "refusal":
        return Text(item.refusal or item.text or "")
    if item.type in IMAGE_TYPES:
        return _parse_image(item, where)
    if item.type in FILE_TYPES:
        return _parse_file(item, where)
    raise invalid_problem(f"`{where}`: parts of type `{item.type}` are not supported; {known} are.", f"{where}.type")


def _parse_image(item: Part, where: str) -> PartBlock:
    url = item.image_url.url if isinstance(item.image_url, ImageUrl) else item.image_url
    if item.source:
        url = item.source.url
        if not url:
            return read_base64_image(item.source.data, item.source.media_type, where)
    if not url and item.file_id:
        raise invalid_problem(f"`{where}`: file ids are not supported; send `image_url`.", f"{where}.file_id")
    if not url:
        raise invalid_problem(f"`{where}.image_url` is missing.", f"{where}.image_url")
    if url[:5].lower() == "data:":
        return read_data_url(url, where)
    if url.partition(":")[0].lower() in {"http", "https"}:
        return RemoteMedia(url, where)
    raise invalid_problem(f"`{where}`: an image must be a data URL or an https address.", f"{where}.image_url")


def _parse_file(item: Part, where: str) -> PartBlock:
    if item.source and item.source.type == "text":
        return Document("text/plain", item.source.data, item.title, item.context)
    if item.source:
        return read_base64_file(item.source.data, item.source.media_type, item.title, where, context=item.context)
    # Chat completions nest a file's fields in `file`; Responses has them next to the type.
    inner = item.file or item
    place = f"{where}.file" if item.file or item.type == "file" else where
    if inner.file_data:
        return read_file_data(inner.file_data, inner.filename, where)
    if inner.file_id:
        raise invalid_problem(f"`{where}`: file ids are not supported; send `file_data`.", f"{place}.file_id")
    if item.file_url:
        raise invalid_problem(f"`{where}`: files are not fetched from URLs; send `file_data`.", f"{where}.file_url")
    raise invalid_problem(f"`{place}.file_data` is missing.", f"{place}.file_data")
