"""Reads lines of a file that is too large to be held.

Invariants: no more is held than what is given back and one piece; of a file without end the rest is not read.
"""

from typing import BinaryIO

from msgspec import Struct

CHUNK_SIZE = 1 << 20
# In files up to so many bytes the lines are counted to the end.
MAX_COUNTED_SIZE = 1 << 30


class LineRange(Struct, frozen=True):
    """lines: of the whole file; None if they were not counted to the end. truncated: `data` is less than was asked for."""

    data: bytes
    total_lines: int | None
    truncated: bool


def read_lines(file: BinaryIO, size: int, first: int, limit: int | None, max_bytes: int) -> LineRange | None:
    """So many lines from the first one, counted from 1, and at most so many bytes; None if the file is no text."""
    before = first - 1
    until = None if limit is None else before + limit
    given, over, ends, last = bytearray(), False, 0, b"\n"
    while piece := file.read(CHUNK_SIZE):
        if b"\0" in piece:
            return None
        count = piece.count(b"\n")
        if not over and ends + count >= before and (until is None or ends < until):
            stop = len(piece) if until is None or ends + count < until else _skip_lines(piece, until - ends)
            given += piece[_skip_lines(piece, before - ends) : stop]
            over = len(given) > max_bytes
        ends, last = ends + count, piece[-1:]
        if size > MAX_COUNTED_SIZE and (over or (until is not None and ends >= until)):
            return LineRange(_truncate(given, max_bytes), None, over)
    return LineRange(_truncate(given, max_bytes), ends + (last != b"\n"), over)


def _skip_lines(piece: bytes, count: int) -> int:
    """Where the piece goes on after so many ends of lines."""
    at = 0
    for _ in range(count):
        at = piece.index(b"\n", at) + 1
    return at


def _truncate(given: bytearray, max_bytes: int) -> bytes:
    """No more than this: whole lines, if one is whole, else whole letters."""
    if len(given) <= max_bytes:
        return bytes(given)
    whole = given.rfind(b"\n", 0, max_bytes) + 1
    if not whole:
        whole = max_bytes
        while whole and given[whole] & 0xC0 == 0x80:
            whole -= 1
    return bytes(given[:whole])
