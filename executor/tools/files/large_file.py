"""Reads lines of a file that is too large for memory.

Invariants: memory holds only the result and one chunk. A file that is too large for counting is not read to its end.
"""

from typing import BinaryIO

from msgspec import Struct

CHUNK_SIZE = 1 << 20
# In bytes: the lines of larger files are not counted to the end.
MAX_COUNTED_SIZE = 1 << 30


class LineRange(Struct, frozen=True):
    """total_lines: of the file; None if they were not counted to the end. truncated: `data` is less than was requested."""

    data: bytes
    total_lines: int | None
    truncated: bool


def read_lines(file: BinaryIO, size: int, first: int, limit: int | None, max_bytes: int) -> LineRange | None:
    """Returns up to `limit` lines from line `first`, counted from 1, in up to `max_bytes`; None if the file is not text."""
    before = first - 1
    until = None if limit is None else before + limit
    data, truncated, ends, last = bytearray(), False, 0, b"\n"
    while chunk := file.read(CHUNK_SIZE):
        if b"\0" in chunk:
            return None
        count = chunk.count(b"\n")
        if not truncated and ends + count >= before and (until is None or ends < until):
            stop = len(chunk) if until is None or ends + count < until else _skip_lines(chunk, until - ends)
            data += chunk[_skip_lines(chunk, before - ends) : stop]
            truncated = len(data) > max_bytes
        ends, last = ends + count, chunk[-1:]
        if size > MAX_COUNTED_SIZE and (truncated or (until is not None and ends >= until)):
            return LineRange(_truncate(data, max_bytes), None, truncated)
    return LineRange(_truncate(data, max_bytes), ends + (last != b"\n"), truncated)


def _skip_lines(chunk: bytes, count: int) -> int:
    """Returns the index after `count` line ends."""
    index = 0
    for _ in range(count):
        index = chunk.index(b"\n", index) + 1
    return index


def _truncate(data: bytearray, max_bytes: int) -> bytes:
    """Cuts after the last complete line, or after the last complete character if no line is complete."""
    if len(data) <= max_bytes:
        return bytes(data)
    end = data.rfind(b"\n", 0, max_bytes) + 1
    if not end:
        end = max_bytes
        while end and data[end] & 0xC0 == 0x80:
            end -= 1
    return bytes(data[:end])
