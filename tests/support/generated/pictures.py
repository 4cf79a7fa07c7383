"""Pictures and files of every size, made by hand (https://www.w3.org/TR/png-3)."""

import random
import struct
import zlib
from functools import cache

GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def png(grey: int) -> bytes:
    """A picture of one grey dot."""
    return _png(1, 1, bytes([grey]))


@cache
def noise(width: int, height: int) -> bytes:
    """A picture that can't be packed well: 1600x1000 has half a megabyte."""
    chance = random.Random(width)
    return _png(width, height, bytes(value % 6 * 50 for value in chance.randbytes(width * height)))


def _png(width: int, height: int, greys: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + greys[at : at + width] for at in range(0, width * height, width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
