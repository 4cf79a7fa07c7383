"""Pictures and files that a client sends, as blocks of a Turn. Pure.

Law: what a thing is, its bytes say; a declared type only decides what the bytes leave open. What can't be used is a
Problem that names the part and what is taken instead.
"""

import base64
import re
import struct
from urllib.parse import unquote_to_bytes

from msgspec import Struct, structs

from api.problems import Problem
from shared.turn import Document, Image

MAX_IMAGE = 5 * 1024 * 1024
MAX_FILE = 20 * 1024 * 1024
MAX_SIDE = 8000
IMAGES = "PNG, JPEG, GIF or WebP"
PDF = b"%PDF-"
MAGIC = re.compile(rb"(?s)(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF.{4}WEBP)")
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 (ITU-T T.81, table B.1)


class Remote(Struct, frozen=True):
    """A picture that is still to be fetched. where: the part of the request that asks for it."""

    url: str
    where: str


class RemoteDocument(Remote, frozen=True):
    """A PDF or text that is still to be fetched, with what the client says of it."""

    title: str | None = None
    context: str | None = None


def image(data: bytes, where: str) -> Image:
    """A picture, by its bytes. Raises Problem."""
    if len(data) > MAX_IMAGE:
        raise refused("image_too_large", "the picture is larger than 5 MiB.", where, 413)
    media_type = picture_type(data)
    if not media_type or not (sides := dimensions(data, media_type)) or 0 in sides:
        fault = "is damaged or cut off" if media_type else "is of no known type" if data else "is empty"
        raise refused("invalid_image", f"the picture {fault}. Send {IMAGES}.", where)
    if max(sides) > MAX_SIDE:
        raise refused("invalid_image", f"the picture is {sides} pixels; {MAX_SIDE} is the most a side.", where)
    return Image(media_type, base64.b64encode(data).decode())


def data_url(url: str, where: str) -> Image | Document:
    """What a data URL holds. Raises Problem."""
    try:
        declared, data = parsed(url)
    except ValueError as error:
        raise refused("invalid_image", f"no data URL that can be decoded. Send {IMAGES} in base64.", where) from error
    if (declared.startswith("text/") or data.startswith(PDF)) and (found := document(data, None, where)):
        return found
    if declared.startswith("image/") or picture_type(data):
        return image(data, where)
    raise refused("invalid_image", f"`{declared[:60]}` can't be used here. Send {IMAGES}, PDF or UTF-8 text.", where)


def file(file_data: str, filename: str | None, where: str) -> Document | Image:
    """What a `file` part holds: a data URL, or base64 alone. Raises Problem."""
    try:
        data = parsed(file_data)[1] if file_data[:5].lower() == "data:" else unbase64(file_data)
    except ValueError as error:
        raise refused("invalid_file", "neither a data URL nor base64 that can be decoded.", where) from error
    return file_of(data, filename or None, where)


def file_of(data: bytes, title: str | None, where: str, *, context: str | None = None) -> Document | Image:
    """What the bytes of a file are. Raises Problem."""
    if found := document(data, title, where):
        return structs.replace(found, context=context)
    if picture_type(data):
        return image(data, where)
    raise refused("invalid_file", f"an empty file or of no known type. Send PDF, UTF-8 text, {IMAGES}.", where)


def parsed(url: str) -> tuple[str, bytes]:
    """The declared type and the bytes of a data URL (RFC 2397). Raises ValueError."""
    head, comma, payload = url.partition(",")
    scheme, _, kind = head.partition(":")
    if scheme.strip().lower() != "data" or not comma:
        raise ValueError("no data URL")
    media_type, *parameters = (word.strip().lower() for word in kind.split(";"))
    data = unquote_to_bytes(payload)
    return media_type or "text/plain", unbase64(data.decode("ascii")) if "base64" in parameters[-1:] else data


def unbase64(text: str) -> bytes:
    """Base64 of either alphabet; white space and padding are free. Raises ValueError."""
    packed = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)


def document(data: bytes, title: str | None, where: str) -> Document | None:
    """A PDF or a text; None if the bytes are neither. Raises Problem."""
    if not (text := words(data)) and not data.startswith(PDF):
        return None
    if len(data) > MAX_FILE:
        raise refused("file_too_large", "the file is larger than 20 MiB.", where, 413)
    media_type, content = ("text/plain", text) if text else ("application/pdf", base64.b64encode(data).decode())
    return Document(media_type, content, title)


def words(data: bytes) -> str:
    """The text that the bytes are; nothing if they are something else. No picture is UTF-8 without NUL."""
    try:
        return "" if b"\0" in data or data.startswith(PDF) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""


def picture_type(data: bytes) -> str | None:
    """The media type that the first bytes tell; None if they are of no picture we take."""
    found = MAGIC.match(data)
    return f"image/{found.lastgroup}" if found else None


def dimensions(data: bytes, media_type: str) -> tuple[int, int] | None:
    """Width and height, as the header has them (WebP: RFC 9649 §2.5 to 2.7); None if it can't be read."""
    try:
        match media_type, data[12:16]:
            case "image/png", b"IHDR":
                return struct.unpack_from(">II", data, 16)
            case "image/gif", _:
                return struct.unpack_from("<HH", data, 6)
            case "image/jpeg", _:
                return jpeg_dimensions(data)
            case "image/webp", b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
                width, height = struct.unpack_from("<HH", data, 26)
                return width & 0x3FFF, height & 0x3FFF
            case "image/webp", b"VP8L" if data[20] == 0x2F:
                bits = struct.unpack_from("<I", data, 21)[0]
                return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            case "image/webp", b"VP8X" if len(data) >= 30:
                return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
            case _:
                return None
    except (struct.error, IndexError):
        return None


def jpeg_dimensions(data: bytes) -> tuple[int, int] | None:
    """The first frame header's; segments before it are stepped over by their lengths (ITU-T T.81, annex B)."""
    at = 2
    while data[at] == 0xFF and (marker := data[at + 1]) not in (0xD9, 0xDA):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def refused(code: str, sentence: str, where: str, status: int = 400) -> Problem:
    """A picture or file that can't be used."""
    return Problem(status, code, f"`{where}`: {sentence}", param=where)
