"""Converts images and files that a client sends into blocks of a Turn. Pure.

Invariants: the bytes decide what a file is; a declared type counts only where the bytes leave it open. Unusable data
raises a Problem that names the part and the accepted types.
"""

import base64
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar
from urllib.parse import unquote_to_bytes

from msgspec import Struct, structs

from api.core.problems import Problem
from api.media.image_headers import detect_image_type, read_dimensions
from shared.text import charsets
from shared.text.file_types import MAX_DOCUMENT_BYTES, PDF, RTF, is_office_document
from shared.turn import Document, Image

MAX_IMAGE_BYTES = 5 * 1024 * 1024
MAX_FILE_BYTES = MAX_DOCUMENT_BYTES
MAX_IMAGE_SIDE = 8000
IMAGE_FORMATS = "PNG, JPEG, GIF or WebP"
FILE_FORMATS = f"PDF, text, Word, Excel, PowerPoint, OpenDocument, RTF, EPUB, {IMAGE_FORMATS}"


class RemoteMedia(Struct, frozen=True):
    """An image that is still to be fetched. where: the part of the request that names it.

    KIND, NOUN, FORM: what it is called in error codes and in sentences, and what to send instead of a URL.
    """

    KIND: ClassVar[str] = "image"
    NOUN: ClassVar[str] = "image"
    FORM: ClassVar[str] = "a data URL"

    url: str
    where: str


class RemoteDocument(RemoteMedia, frozen=True):
    """A document that is still to be fetched, with the client's title and context."""

    KIND = "file"
    NOUN = "document"
    FORM = "base64"

    title: str | None = None
    context: str | None = None


class OfficeDocument(Struct, frozen=True):
    """An office document that is still to be converted. where: the part of the request that holds it."""

    data: bytes
    title: str | None
    where: str
    context: str | None = None


class MediaData(Struct, frozen=True):
    """The bytes of an image or file. media_type, charset: as declared, in lower case."""

    data: bytes
    media_type: str = ""
    charset: str = ""


def build_image(data: bytes, where: str) -> Image:
    """Returns the image block of these bytes. Raises Problem."""
    if len(data) > MAX_IMAGE_BYTES:
        raise media_problem("image_too_large", "the image is larger than 5 MiB.", where, 413)
    media_type = detect_image_type(data)
    if not media_type or not (sides := read_dimensions(data, media_type)) or 0 in sides:
        fault = "is damaged or truncated" if media_type else "has an unknown type" if data else "is empty"
        raise media_problem("invalid_image", f"the image {fault}. Send {IMAGE_FORMATS}.", where)
    if max(sides) > MAX_IMAGE_SIDE:
        raise media_problem(
            "invalid_image",
            f"the image is {sides[0]} x {sides[1]} pixels; {MAX_IMAGE_SIDE} per side is the limit.",
            where,
        )
    return Image(media_type, base64.b64encode(data).decode())


def read_data_url(url: str, where: str) -> Image | Document | OfficeDocument:
    """Returns the content of a data URL. Raises Problem."""
    with _decode_image(where):
        return to_image_block(parse_data_url(url), where)


def read_base64_image(data: str, media_type: str, where: str) -> Image | Document | OfficeDocument:
    """Returns the content of an image part in base64. Raises Problem."""
    with _decode_image(where):
        return to_image_block(_parse_media(media_type, data), where)


def to_image_block(sent: MediaData, where: str) -> Image | Document | OfficeDocument:
    """Returns the block of data that was sent as an image; a document among images stays one. Raises Problem."""
    # Without a type it is text (RFC 2397 §2).
    is_file = (
        sent.media_type.startswith("text/")
        or not sent.media_type
        or sent.data.startswith(PDF)
        or is_office_document(sent.data)
    )
    if is_file and (document := to_document(sent, None, where)):
        return document
    if sent.media_type.startswith("image/") or detect_image_type(sent.data):
        return build_image(sent.data, where)
    raise media_problem(
        "invalid_image", f"`{sent.media_type[:60] or 'text/plain'}` can't be used here. Send {FILE_FORMATS}.", where
    )


def read_file_data(file_data: str, filename: str | None, where: str) -> Document | Image | OfficeDocument:
    """Returns the content of a `file` part: a data URL, or base64 alone. Raises Problem."""
    with _decode_file(where):
        sent = parse_data_url(file_data) if file_data[:5].lower() == "data:" else MediaData(decode_base64(file_data))
        return to_file_block(sent, filename or None, where)


def read_base64_file(
    data: str, media_type: str, title: str | None, where: str, *, context: str | None = None
) -> Document | Image | OfficeDocument:
    """Returns the content of a document part in base64. Raises Problem."""
    with _decode_file(where):
        return to_file_block(_parse_media(media_type, data), title or None, where, context=context)


def to_file_block(
    sent: MediaData, title: str | None, where: str, *, context: str | None = None
) -> Document | Image | OfficeDocument:
    """Returns the block of a file. Raises Problem."""
    if document := to_document(sent, title, where):
        # The client's context stands before the server's own note.
        return structs.replace(document, context="\n".join(filter(None, (context, document.context))) or None)
    if detect_image_type(sent.data):
        return build_image(sent.data, where)
    if not sent.data:
        fault = "the file is empty."
    elif charsets.find_codec(sent.charset):
        fault = f"the file has an unknown type, and is not text in its declared encoding `{sent.charset}`."
    else:
        fault = "the file has an unknown type, and is not text in an encoding that can be detected."
    raise media_problem("invalid_file", f"{fault} Send {FILE_FORMATS}.", where)


def parse_data_url(url: str) -> MediaData:
    """Returns the bytes of a data URL with their declared type (RFC 2397). Raises ValueError."""
    head, comma, payload = url.partition(",")
    scheme, _, kind = head.partition(":")
    if scheme.strip().lower() != "data" or not comma:
        raise ValueError("not a data URL")
    declared, separator, encoding = kind.rpartition(";")
    data = unquote_to_bytes(payload)
    if separator and encoding.strip().lower() == "base64":
        return _parse_media(declared, data.decode("ascii"))
    return _parse_media(kind, data)


def _parse_media(declared: str, data: bytes | str) -> MediaData:
    """Returns bytes, or text in base64, with a declared media type. Raises ValueError."""
    media_type, *parameters = (word.strip().lower() for word in declared.split(";"))
    charset = dict(parse_parameter(word) for word in parameters).get("charset", "")
    return MediaData(decode_base64(data) if isinstance(data, str) else data, media_type, charset)


def parse_parameter(parameter: str) -> tuple[str, str]:
    """Returns the name and the unquoted value of a media type's parameter (RFC 9110 §5.6.6)."""
    name, _, value = parameter.partition("=")
    return name.strip(), value.strip().strip('"')


def decode_base64(text: str) -> bytes:
    """Decodes base64 of either alphabet; white space and padding are optional. Raises ValueError."""
    packed = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)


def to_document(sent: MediaData, title: str | None, where: str) -> Document | OfficeDocument | None:
    """Returns a PDF, text or office document; None if the bytes are none of them. Raises Problem."""
    document: Document | OfficeDocument | None = None
    if sent.data.startswith(PDF):
        document = Document("application/pdf", base64.b64encode(sent.data).decode(), title)
    # RTF is ASCII: a client that declares it as text wants its source read.
    elif is_office_document(sent.data) and not (sent.media_type == "text/plain" and sent.data.startswith(RTF)):
        document = OfficeDocument(sent.data, title, where)
    elif (decoded := _decode_text(sent)) and decoded.text:
        document = Document("text/plain", decoded.text, title, decoded.note or None)
    if document and len(sent.data) > MAX_FILE_BYTES:
        raise media_problem("file_too_large", "the file is larger than 20 MiB.", where, 413)
    return document


def _decode_text(sent: MediaData) -> charsets.DecodedText | None:
    # No image is UTF-8 without NUL; in other encodings most bytes are letters.
    if not charsets.find_codec(sent.charset) and (certain := charsets.decode_utf8(sent.data)):
        return certain
    return None if detect_image_type(sent.data) else charsets.decode(sent.data, sent.charset)


def media_problem(code: str, sentence: str, where: str, status: int = 400) -> Problem:
    """Builds the problem of an unusable image or file."""
    return Problem(status, code, f"`{where}`: {sentence}", param=where)


@contextmanager
def _reject_undecodable(code: str, sentence: str, where: str) -> Generator[None]:
    try:
        yield
    except ValueError as error:
        raise media_problem(code, sentence, where) from error


_decode_image = partial(
    _reject_undecodable, "invalid_image", f"the data can't be decoded. Send {IMAGE_FORMATS} in base64."
)
_decode_file = partial(_reject_undecodable, "invalid_file", "the data is neither a valid data URL nor valid base64.")
