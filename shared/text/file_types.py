"""File types by their first bytes, as far as both the API and the executors need them. Pure."""

PDF = b"%PDF-"
RTF = b"{\\rtf"
ZIP = b"PK\x03\x04"
# Word, Excel and PowerPoint up to 2003, and any of them with a password ([MS-CFB] 2.2).
OLE_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The parts that identify an Office, OpenDocument or EPUB file. A zip does not compress the names of its parts.
OFFICE_ZIP_PARTS = (b"[Content_Types].xml", b"mimetype", b"META-INF/manifest.xml", b"META-INF/container.xml")

# The limit of a document to convert, and of its Markdown.
MAX_DOCUMENT_BYTES = 20 * 1024 * 1024


def is_office_document(data: bytes) -> bool:
    """Returns whether the bytes may be a Word, Excel, PowerPoint, OpenDocument, RTF or EPUB file; only conversion is certain."""
    if data.startswith(ZIP):
        return any(part in data for part in OFFICE_ZIP_PARTS)
    return data.startswith((OLE_COMPOUND, RTF))
