"""Reads a file, or lines of it.

Law: what is held at once and given back is bounded by READ_LIMIT_MB; of a larger file lines can be read, but not all of it.
"""

import mimetypes
import os
import re
from typing import BinaryIO

from msgspec import structs

from executor.tools.config import Ground, Root
from executor.tools.files.large_file import part
from executor.tools.files.open_beneath import regular
from executor.tools.refusal import Refused
from shared.errors import ErrorKind
from shared.text import charsets
from shared.text.file_types import PDF, is_office_document
from shared.tool_jobs import FileRead, PagesRead, ReadFile

SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (PDF, "application/pdf"),
)
LINE = re.compile(r"[^\n]*\n|[^\n]+")
# Its own tables only: the system's files are not for the sandbox.
_types = mimetypes.MimeTypes(filenames=())


def read(ground: Ground, root: Root, path: str, job: ReadFile) -> FileRead | PagesRead:
    """What was asked for. Raises Refused."""
    descriptor, state = regular(ground, root, path)
    shown = os.path.normpath(f"{root.path}/{path}")
    with os.fdopen(descriptor, "rb") as file:
        if state.st_size > ground.read:
            return _lines(file, shown, state.st_size, ground.read, job)
        # It may grow meanwhile.
        data = file.read(ground.read)
    if job.pages and data.startswith(PDF):
        # Loaded only where it is forked from (executor.tools.worker_setup): no other process has a use for it.
        from executor.tools.files import pages  # noqa: PLC0415

        return pages.drawn(shown, data, *job.pages)
    kind = media_type(shown, data)
    text, note = _as_text(shown, data) if job.as_text else (_text(data), "")
    if text is None:
        return FileRead(shown, len(data), kind, data=data)
    whole = FileRead(shown, len(data), kind, text=text, note=note)
    if job.offset is None and job.limit is None:
        return structs.replace(whole, lines=text.count("\n") + (text[-1:] not in {"", "\n"}))
    lines = LINE.findall(text)
    first = job.offset or 1
    last = len(lines) if job.limit is None else first - 1 + job.limit
    given = "".join(lines[first - 1 : last])
    return structs.replace(whole, text=given, first_line=first, lines=len(lines))


def _as_text(shown: str, data: bytes) -> tuple[str | None, str]:
    """What a model can read of a file, and what that was made from; None if it is no text. Raises Refused."""
    if is_office_document(data):
        try:
            from executor.tools.files import documents  # noqa: PLC0415 # as pages

            document = documents.converted(data)
        except Refused as refused:
            raise Refused(refused.kind, f"{shown}: {refused.detail}") from refused
        except (ImportError, PermissionError) as missing:
            # Where its library is not installed it was not loaded, and no file of Python's can be read from here.
            raise Refused(ErrorKind.BAD_JOB, f"{shown}: this server can't convert office documents") from missing
        return document.markdown, document.note
    if data.startswith(tuple(signature for signature, _ in SIGNATURES)) or not data:
        return _text(data), ""
    decoded = charsets.decode(data)
    return (decoded.text, decoded.note) if decoded else (None, "")


def _lines(file: BinaryIO, shown: str, size: int, most: int, job: ReadFile) -> FileRead:
    """Lines of a file that is larger than what is read at once. Raises Refused."""
    first = job.offset or 1
    found = None if job.offset is None and job.limit is None else part(file, size, first, job.limit, most)
    text = _text(found.data) if found else None
    if found is None or text is None:
        raise Refused(
            ErrorKind.TOO_LARGE,
            f"{shown} has {size} bytes; {most} can be read at once. READ_LIMIT_MB sets that. Of a text, `offset` and `limit` "
            "read lines",
        )
    kind = media_type(shown, found.data)
    return FileRead(shown, size, kind, text=text, first_line=first, lines=found.lines, truncated=found.truncated)


def media_type(name: str, data: bytes) -> str:
    """By what the file begins with, then by its name."""
    for signature, kind in SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    by_name = _types.guess_type(name)[0]
    return by_name or ("application/octet-stream" if _text(data) is None else "text/plain")


def _text(data: bytes) -> str | None:
    if b"\0" in data or data.startswith(PDF):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
