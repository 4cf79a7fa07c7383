"""The rules of pictures and of other data in base64: what the service says of them by their own bytes."""

import base64
import binascii
import struct
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from tests.support.scripted.service_request import Place, Request

MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_SIDE = 8000
MANY_PICTURES = 20
MAX_SIDE_OF_MANY = 2000
JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Picture(Struct, frozen=True):
    """What a picture's bytes say. sides: None where its header can't be read."""

    media_type: str | None
    sides: tuple[int, int] | None


def read_header(data: bytes) -> Picture:
    """The form and the size that a picture's header tells."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        whole = len(data) >= 24 and data[12:16] == b"IHDR"
        return Picture("image/png", struct.unpack(">II", data[16:24]) if whole else None)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return Picture("image/gif", struct.unpack("<HH", data[6:10]) if len(data) >= 10 else None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Picture("image/webp", _webp_sides(data))
    if data.startswith(b"\xff\xd8"):
        return Picture("image/jpeg", _jpeg_sides(data))
    return Picture(None, None)


def _webp_sides(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _jpeg_sides(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in JPEG_SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


class RequestPicture(Struct, frozen=True):
    """A picture of a request. data: None where its base64 can't be read."""

    at: str
    named: str
    data: bytes | None


def _decode(place: Place) -> bytes | None:
    try:
        return base64.b64decode(place.block["source"].get("data", ""), validate=True)
    except (binascii.Error, ValueError):
        return None


def _has_base64(place: Place) -> bool:
    source = place.block.get("source")
    return isinstance(source, dict) and source.get("type") == "base64"


def _pictures(request: Request) -> Iterator[RequestPicture]:
    for place in request.blocks():
        if place.kind == "image" and _has_base64(place):
            yield RequestPicture(
                f"{place.at}.image.source.base64", place.block["source"].get("media_type", ""), _decode(place)
            )


def find_bad_data(request: Request) -> Iterator[str]:
    """What is said to be base64 is, and a document in it is a PDF."""
    for place in request.blocks():
        if place.kind not in {"image", "document"}:
            continue
        if not isinstance(place.block.get("source"), dict):
            yield f"{place.at}.{place.kind}.source: Field required"
        elif _has_base64(place):
            data = _decode(place)
            if not data:
                yield f"{place.at}.{place.kind}.source.base64.data: invalid base64 data"
            elif place.kind == "document" and b"%PDF" not in data[:1024]:
                yield f"{place.at}.document.source.base64.data: The PDF specified was not valid."


def find_media_types(request: Request) -> Iterator[str]:
    """A picture is in the form that it is said to be in."""
    for picture in _pictures(request):
        if not picture.data:
            continue
        actual = read_header(picture.data)
        if actual.sides is None:
            yield f"{picture.at}: Could not process image"
        elif actual.media_type != picture.named:
            yield (
                f"{picture.at}: The image was specified using the {picture.named} media type, but the image appears "
                f"to be a {actual.media_type} image"
            )


def find_large_pictures(request: Request) -> Iterator[str]:
    """A picture has no more than 5 MB."""
    for picture in _pictures(request):
        if (size := len(picture.data or b"")) > MAX_PICTURE_BYTES:
            yield f"{picture.at}: image exceeds 5 MB maximum: {size} bytes > {MAX_PICTURE_BYTES} bytes"


def find_long_sides(request: Request) -> Iterator[str]:
    """A picture has sides of at most 8000 pixels, of many at most 2000."""
    pictures = list(_pictures(request))
    count = sum(place.kind == "image" for place in request.blocks())
    for picture in pictures:
        longest = max(read_header(picture.data or b"").sides or (0,))
        if longest > MAX_SIDE:
            yield f"{picture.at}.data: At least one of the image dimensions exceed max allowed size: 8000 pixels"
        elif count > MANY_PICTURES and longest > MAX_SIDE_OF_MANY:
            yield (
                f"{picture.at}.data: At least one of the image dimensions exceed max allowed size for many-image "
                "requests: 2000 pixels"
            )


PICTURE_RULES: Mapping[str, Callable[[Request], Iterator[str]]] = {
    "base64": find_bad_data,
    "media_types": find_media_types,
    "picture_bytes": find_large_pictures,
    "picture_sides": find_long_sides,
}
