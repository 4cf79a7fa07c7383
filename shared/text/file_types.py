"""What a file is, by its first bytes, as far as the API and the executors both need it. Pure."""

PDF = b"%PDF-"
RTF = b"{\\rtf"
ZIP = b"PK\x03\x04"
# Word, Excel and PowerPoint up to 2003, and any of them with a password ([MS-CFB] 2.2).
OLE_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Parts of a zip that make it an Office, OpenDocument or EPUB file; names of parts are not compressed.
OFFICE_ZIP_PARTS = (b"[Content_Types].xml", b"mimetype", b"META-INF/manifest.xml", b"META-INF/container.xml")

# Of a document that is converted, and of the Markdown that it becomes.
MAX_DOCUMENT_BYTES = 20 * 1024 * 1024


def is_office_document(data: bytes) -> bool:
    """Whether the bytes may be a Word, Excel, PowerPoint, OpenDocument, RTF or EPUB file; its conversion tells."""
    if data.startswith(ZIP):
        return any(part in data for part in OFFICE_ZIP_PARTS)
    return data.startswith((OLE_COMPOUND, RTF))
