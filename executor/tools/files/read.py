"""Reads a file, or lines of it.

Invariants: READ_LIMIT_MB limits the data in memory and in the result; of a larger file, lines can be read, but not all.
Then memory holds only the result and one chunk, and a file that is too large for counting is not read to its end.
"""

import mimetypes
import os
import re
from typing import BinaryIO

from msgspec import Struct, structs

from executor.tools.config import Root, ToolConfig
from executor.tools.files.open_beneath import open_regular_file
from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.text import charsets
from shared.text.file_types import PDF, is_office_document
from shared.tool_jobs import FileContent, PdfPages, ReadFile

SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (PDF, "application/pdf"),
)
CHUNK_SIZE = 1 << 20
# In bytes: the lines of larger files are not counted to the end.
MAX_COUNTED_SIZE = 1 << 30
LINE_PATTERN = re.compile(r"[^\n]*\n|[^\n]+")
# Python's own tables only: the sandbox can't read the system's files.
_mime_types = mimetypes.MimeTypes(filenames=())


class LineRange(Struct, frozen=True):
    """total_lines: of the file; None if they were not counted to the end. truncated: `data` is less than was requested."""

    data: bytes
    total_lines: int | None
    truncated: bool


def read_file(config: ToolConfig, root: Root, path: str, job: ReadFile) -> FileContent | PdfPages:
    """Reads a file, lines of it, or pages of a PDF. Raises JobRefused."""
    descriptor, state = open_regular_file(config, root, path)
    shown = os.path.normpath(f"{root.path}/{path}")
    with os.fdopen(descriptor, "rb") as file:
        if state.st_size > config.read_limit:
            return _read_large_file(file, shown, state.st_size, config.read_limit, job)
        # The file may grow meanwhile.
        data = file.read(config.read_limit)
    if job.pages and data.startswith(PDF):
        # Only the zygote loads it (executor.tools.worker.setup).
        from executor.tools.files import pages  # noqa: PLC0415

        return pages.render_pages(shown, data, *job.pages)
    kind = detect_media_type(shown, data)
    text, note = _convert_to_text(shown, data) if job.as_text else (_decode_text(data), "")
    if text is None:
        return FileContent(shown, len(data), kind, data=data)
    content = FileContent(shown, len(data), kind, text=text, note=note)
    if job.offset is None and job.limit is None:
        return structs.replace(content, lines=text.count("\n") + (text[-1:] not in {"", "\n"}))
    lines = LINE_PATTERN.findall(text)
    first = job.offset or 1
    last = len(lines) if job.limit is None else first - 1 + job.limit
    return structs.replace(content, text="".join(lines[first - 1 : last]), first_line=first, lines=len(lines))


def _convert_to_text(shown: str, data: bytes) -> tuple[str | None, str]:
    """Returns the text of a file for a model, or None, and a note on its conversion. Raises JobRefused."""
    if is_office_document(data):
        try:
            from executor.tools.files import documents  # noqa: PLC0415 # as pages

            document = documents.convert_document(data)
        except JobRefused as refused:
            raise JobRefused(refused.kind, f"{shown}: {refused.detail}") from refused
        except (ImportError, PermissionError) as missing:
            # The library is not installed, so the zygote did not load it, and the sandbox can't read Python's files.
            raise JobRefused(ErrorKind.BAD_JOB, f"{shown}: this server can't convert office documents") from missing
        return document.markdown, document.note
    if data.startswith(tuple(signature for signature, _ in SIGNATURES)) or not data:
        return _decode_text(data), ""
    decoded = charsets.decode(data)
    return (decoded.text, decoded.note) if decoded else (None, "")


def _read_large_file(file: BinaryIO, shown: str, size: int, max_bytes: int, job: ReadFile) -> FileContent:
    """Reads lines of a file that is larger than the limit. Raises JobRefused."""
    first = job.offset or 1
    found = None if job.offset is None and job.limit is None else read_lines(file, size, first, job.limit, max_bytes)
    text = _decode_text(found.data) if found else None
    if found is None or text is None:
        raise JobRefused(
            ErrorKind.TOO_LARGE,
            f"{shown} has {size} bytes; {max_bytes} can be read at once. READ_LIMIT_MB sets that. Of a text, `offset` and "
            "`limit` read lines",
        )
    kind = detect_media_type(shown, found.data)
    return FileContent(
        shown, size, kind, text=text, first_line=first, lines=found.total_lines, truncated=found.truncated
    )


def detect_media_type(name: str, data: bytes) -> str:
    """Detects the type by the file's first bytes, then by its name."""
    for signature, kind in SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    by_name = _mime_types.guess_type(name)[0]
    return by_name or ("application/octet-stream" if _decode_text(data) is None else "text/plain")


def _decode_text(data: bytes) -> str | None:
    if b"\0" in data or data.startswith(PDF):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


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
