"""Converts office documents to Markdown.

Invariants: only processes in the sandbox call it, since documents are untrusted; the zygote loads it before it forks them,
since they can't read libraries. Documents are parsed by anydoc (https://github.com/firecrawl/anydoc), which has its own
limits for decompressed bytes, nesting, nodes and repeated cells; it resolves no entity.
"""

import codecs
import io
import zipfile

import anydoc

from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.text import charsets
from shared.text.file_types import MAX_DOCUMENT_BYTES, OLE_COMPOUND, ZIP
from shared.tool_jobs import ConvertedDocument

OMITTED_FROM_WORD = "page headers and footers, comments and deleted text"
OMITTED_FROM_EXCEL = "hidden sheets and rows, formulas, charts and comments"
# The library's name of a format -> a name for people, and the parts that the library omits.
FORMATS = {
    **dict.fromkeys(("docx", "doc"), ("a Word document", OMITTED_FROM_WORD)),
    **dict.fromkeys(("xlsx", "xls"), ("an Excel workbook", OMITTED_FROM_EXCEL)),
    **dict.fromkeys(("pptx", "ppt"), ("a PowerPoint presentation", "charts and comments")),
    "odt": ("an OpenDocument text", "page headers and footers and deleted text"),
    "ods": ("an OpenDocument spreadsheet", "formulas and charts"),
    "odp": ("an OpenDocument presentation", "charts and comments"),
    "rtf": ("a Rich Text document", "page headers and footers and comments"),
    "epub": ("an EPUB book", ""),
}
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg", ".emf", ".wmf")
# A picture of the first page, for file managers.
THUMBNAIL_PREFIXES = ("docProps/thumbnail", "Thumbnails/")
# The stream that holds a document with a password ([MS-OFFCRYPTO] 2.3.4.4).
ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
LIMIT_REASONS = {
    "max_xml_nodes": "it has too many cells or paragraphs",
    "max_grid_slots": "its cells are spread over too wide an area",
    "max_xml_depth": "it is nested too deeply",
}

charsets.preload_codecs()
# The encoding of names in a zip archive.
codecs.lookup("cp437")


def convert_document(data: bytes) -> ConvertedDocument:
    """Converts a document to Markdown. Raises JobRefused."""
    kind, omitted = FORMATS.get(anydoc.format_from_bytes(data) or "", ("", ""))
    if not kind:
        if data.startswith(OLE_COMPOUND) and ENCRYPTED_STREAM in data:
            raise JobRefused(ErrorKind.BAD_JOB, "this is an Office document with a password. Send it without one.")
        raise JobRefused(ErrorKind.BAD_JOB, f"this is a damaged document, or none of these: {', '.join(FORMATS)}.")
    try:
        markdown = anydoc.to_markdown_bytes(data)
    except anydoc.EncryptedError as error:
        raise JobRefused(ErrorKind.BAD_JOB, f"this is {kind} with a password. Send it without one.") from error
    except anydoc.ResourceLimitError as error:
        why = LIMIT_REASONS.get(error.limit, "it is too large when it is unpacked")
        raise JobRefused(ErrorKind.TOO_LARGE, f"this is {kind} that can't be converted: {why}.") from error
    except anydoc.ConvertError as error:
        raise JobRefused(ErrorKind.BAD_JOB, f"this is {kind} that can't be converted: it is damaged.") from error
    except BaseException as panic:
        # A bug of the library: pyo3's PanicException is not an Exception.
        raise JobRefused(
            ErrorKind.BAD_JOB, f"this is {kind} that can't be converted: the converter failed on it."
        ) from panic
    pictures = _count_pictures(data)
    if not markdown.strip():
        hint = " Its pictures are not read; send it as PDF." if pictures else ""
        raise JobRefused(ErrorKind.BAD_JOB, f"this is {kind} without any text.{hint}")
    if len(markdown.encode()) > MAX_DOCUMENT_BYTES:
        raise JobRefused(
            ErrorKind.TOO_LARGE, f"this is {kind} whose text is larger than {MAX_DOCUMENT_BYTES >> 20} MiB."
        )
    return ConvertedDocument(markdown, _build_note(kind, omitted, pictures))


def _build_note(kind: str, omitted: str, pictures: int) -> str:
    """Builds the note that tells a model what its text was converted from."""
    omitted_pictures = "" if not pictures else "its picture" if pictures == 1 else f"its {pictures} pictures"
    without = ", ".join(filter(None, (omitted_pictures, omitted)))
    return f"Converted to Markdown from {kind}" + (f", without {without}." if without else ".")


def _count_pictures(data: bytes) -> int:
    """Counts the pictures of a zip archive by the names of its parts."""
    if not data.startswith(ZIP):
        return 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return 0
    return sum(name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(THUMBNAIL_PREFIXES) for name in names)
