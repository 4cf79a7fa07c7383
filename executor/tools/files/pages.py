"""Draws the pages of a PDF, as JPEG, each with the words on it.

Invariants: only the sandbox's processes call it, since anyone may have made the file; and whoever forks them has loaded it
before, since they can read no library. Files are drawn by PDFium (https://pdfium.googlesource.com/pdfium).
"""

import codecs
import importlib
import io

import PIL.Image
import pypdfium2

from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.tool_jobs import PdfPage, PdfPages

# 108 dots an inch: small print can be read, and the model's service takes such a picture as it is.
SCALE = 1.5
MAX_SIDE = 1568
JPEG_QUALITY = 80

# What would be looked for in libraries when the first page is drawn: formats of pictures, and how words are encoded.
PIL.Image.preinit()
codecs.lookup("utf-16-le")
# Who loads this forks what does the jobs, and those read shell text too.
importlib.import_module("executor.tools.worker.programs")


def render_pages(path: str, data: bytes, first: int, last: int) -> PdfPages:
    """The pages from `first` to `last`, counted from 1, or to the end of the file. Raises JobRefused."""
    try:
        document = pypdfium2.PdfDocument(data)
        with document:
            # What was filled in is seen only then.
            document.init_forms()
            count = len(document)
            if first > count:
                pages = "one page" if count == 1 else f"{count} pages"
                raise JobRefused(ErrorKind.BAD_JOB, f"pages: {path} has {pages}; there is no page {first}")
            numbers = range(first, min(last, count) + 1)
            return PdfPages(path, len(data), tuple(_render_page(document, number) for number in numbers), count)
    except pypdfium2.PdfiumError as error:
        why = "it is locked by a password" if "password" in str(error).lower() else "it is damaged"
        raise JobRefused(ErrorKind.BAD_JOB, f"{path} is a PDF that can't be opened: {why}") from error


def _render_page(document: pypdfium2.PdfDocument, number: int) -> PdfPage:
    page = document[number - 1]
    longest = max(*page.get_size(), 1)
    image: PIL.Image.Image = page.render(scale=min(SCALE, MAX_SIDE / longest)).to_pil()  # pyright: ignore[reportUnknownVariableType] # it has types for all but this
    written = io.BytesIO()
    image.convert("RGB").save(written, "JPEG", quality=JPEG_QUALITY)
    return PdfPage(number, written.getvalue(), page.get_textpage().get_text_range())
