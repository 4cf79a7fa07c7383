"""Reads a file, or lines of it."""

import mimetypes
import os
import re

from executor.tools.beneath import regular
from executor.tools.ground import Ground, Root
from executor.tools.refusal import Refused
from shared.errors import ErrorKind
from shared.jobs import FileRead, PagesRead, ReadFile

PDF = b"%PDF-"
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
    if state.st_size > ground.read:
        os.close(descriptor)
        raise Refused(
            ErrorKind.TOO_LARGE,
            f"{shown} has {state.st_size} bytes; {ground.read} can be read. READ_LIMIT_MB sets that",
        )
    with os.fdopen(descriptor, "rb") as file:
        # It may grow meanwhile.
        data = file.read(ground.read)
    if job.pages and data.startswith(PDF):
        # Loaded only where it is forked from (executor.tools.grown): no other process has a use for it.
        from executor.tools import pages  # noqa: PLC0415

        return pages.drawn(shown, data, *job.pages)
    text = _text(data)
    if text is None:
        return FileRead(shown, len(data), media_type(shown, data), data=data)
    kind = media_type(shown, data)
    if job.offset is None and job.limit is None:
        return FileRead(shown, len(data), kind, text=text, lines=text.count("\n") + (text[-1:] not in {"", "\n"}))
    lines = LINE.findall(text)
    first = job.offset or 1
    last = len(lines) if job.limit is None else first - 1 + job.limit
    given = "".join(lines[first - 1 : last])
    return FileRead(shown, len(data), kind, text=given, first_line=first, lines=len(lines))


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
