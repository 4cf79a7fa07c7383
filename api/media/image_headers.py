"""Detects the type and size of an image from its first bytes. Pure.

Invariants: only headers are read, never pixels.
"""

import re
import struct

IMAGE_MAGIC = re.compile(
    rb"(?s)(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF.{4}WEBP)"
)
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 (ITU-T T.81, table B.1)


def detect_image_type(data: bytes) -> str | None:
    """Returns the media type that the first bytes show; None if they are not an accepted image."""
    match = IMAGE_MAGIC.match(data)
    return f"image/{match.lastgroup}" if match else None


def read_dimensions(data: bytes, media_type: str) -> tuple[int, int] | None:
    """Returns width and height from the header (WebP: RFC 9649 §2.5 to 2.7); None if it can't be read.

    Pillow is not used: it passes a complete WebP file to libwebp, which allocates two canvases (8 bytes a pixel, 512 MB at
    8000 x 8000) for a file of 100 bytes, before its size can be checked.
    """
    try:
        match media_type, data[12:16]:
            case "image/png", b"IHDR":
                return struct.unpack_from(">II", data, 16)
            case "image/gif", _:
                return struct.unpack_from("<HH", data, 6)
            case "image/jpeg", _:
                return read_jpeg_dimensions(data)
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


def read_jpeg_dimensions(data: bytes) -> tuple[int, int] | None:
    """Returns the size in the first frame header; skips the segments before it (ITU-T T.81, annex B)."""
    at = 2
    while data[at] == 0xFF and (marker := data[at + 1]) not in (0xD9, 0xDA):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
