"""Renders the pages of a PDF as JPEG, each with its text.

Invariants: only processes in the sandbox call it, since files are untrusted; the zygote loads it before it forks them, since
they can't read libraries. PDFium renders the pages (https://pdfium.googlesource.com/pdfium).
"""

import codecs
import importlib
import io

import PIL.Image
import pypdfium2

from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.tool_jobs import PdfPage, PdfPages

# 108 dots per inch: small print is legible, and the service does not resize the picture.
SCALE = 1.5
MAX_SIDE = 1568
JPEG_QUALITY = 80

# Loads image formats and codecs that would otherwise be loaded when the first page is rendered.
PIL.Image.preinit()
codecs.lookup("utf-16-le")
# The process that loads this module forks the processes of jobs, and those parse shell text too.
importlib.import_module("executor.tools.worker.programs")


def render_pages(path: str, data: bytes, first: int, last: int) -> PdfPages:
    """Renders the pages from `first` to `last`, counted from 1, or to the end of the file. Raises JobRefused."""
    try:
        document = pypdfium2.PdfDocument(data)
        with document:
            # Without this, the values of form fields are not rendered.
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
    image: PIL.Image.Image = page.render(scale=min(SCALE, MAX_SIDE / longest)).to_pil()  # pyright: ignore[reportUnknownVariableType] # the only untyped function
    jpeg = io.BytesIO()
    image.convert("RGB").save(jpeg, "JPEG", quality=JPEG_QUALITY)
    return PdfPage(number, jpeg.getvalue(), page.get_textpage().get_text_range())
