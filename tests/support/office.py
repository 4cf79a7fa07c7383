"""Small office documents: OOXML (ECMA-376), OpenDocument (ISO/IEC 26300), EPUB and RTF, whole or hostile."""

import functools
import io
import struct
import zipfile
from collections.abc import Mapping

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
SHEET = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINK = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/{}"'
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
ODF = (
    " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "presentation")
    )
    + ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
)
DOCUMENT = "word/document.xml"
BODY = (f"<w:document {WORD} {LINK}><w:body>", "</w:body></w:document>")
MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"


def build_zip(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip of these parts."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return written.getvalue()


@functools.cache
def build_zip_bomb(name: str, mebibytes: int, around: tuple[str, str] = ("", "")) -> bytes:
    """A Word document of which one part unpacks to so much. around: what is before and after it."""
    written = io.BytesIO(docx("x"))
    with zipfile.ZipFile(written) as archive:
        parts = {each: archive.read(each) for each in archive.namelist() if each != name}
    written = io.BytesIO(build_zip(parts))
    with zipfile.ZipFile(written, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as part:
        part.write(around[0].encode())
        for _ in range(mebibytes):
            part.write(b"A" * (1 << 20))
        part.write(around[1].encode())
    return written.getvalue()


def build_content_types(**parts: str) -> str:
    """[Content_Types].xml: the parts and what they are, `/` in a name written as `__`."""
    listed = "".join(
        f'<Override PartName="/{name.replace("__", "/")}.xml" ContentType="{kind}"/>' for name, kind in parts.items()
    )
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Default Extension="png" ContentType="image/png"/>'
    )
    return f"{HEAD}<Types {PACKAGE.format('content-types')}>{defaults}{listed}</Types>"


def build_relations(*targets: tuple[str, str]) -> str:
    """A part's relationships: the kind and target of each, in order."""
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{RELATION}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f"{HEAD}<Relationships {PACKAGE.format('relationships')}>{listed}</Relationships>"


def docx(
    *paragraphs: str, body: str = "", declared: str = "", kind: str = "", more: Mapping[str, str | bytes] | None = None
) -> bytes:
    """A Word document with these paragraphs, the first a heading. declared: its DTD. body, more: raw XML and parts."""
    main = kind or "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    words = "".join(
        f"<w:p>{'' if at else '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>'}<w:r><w:t>{text}</w:t></w:r></w:p>"
        for at, text in enumerate(paragraphs)
    )
    return build_zip(
        {
            "[Content_Types].xml": build_content_types(word__document=main),
            "_rels/.rels": build_relations(("officeDocument", DOCUMENT)),
            DOCUMENT: f"{HEAD}{declared}{BODY[0]}{words}{body}{BODY[1]}",
            **(more or {}),
        }
    )


def xlsx(*rows: tuple[str | float, ...], raw: str = "", name: str = "Sheet1") -> bytes:
    """A workbook of one sheet. raw: rows as XML."""
    written = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return build_zip(
        {
            "[Content_Types].xml": build_content_types(
                xl__workbook=f"{main}.sheet.main+xml", xl__worksheets__sheet1=f"{main}.worksheet+xml"
            ),
            "_rels/.rels": build_relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'{HEAD}<workbook {SHEET} {LINK}><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/>'
            "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": build_relations(("worksheet", "worksheets/sheet1.xml")),
            "xl/worksheets/sheet1.xml": f"{HEAD}<worksheet {SHEET}><sheetData>{written}{raw}</sheetData></worksheet>",
        }
    )


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def pptx(*slides: str) -> bytes:
    """A presentation with these words on its slides."""
    drawing = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    point = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {drawing} {LINK}'
    main = "application/vnd.openxmlformats-officedocument.presentationml"
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in numbers)
    parts = {
        "[Content_Types].xml": build_content_types(
            ppt__presentation=f"{main}.presentation.main+xml",
            **{f"ppt__slides__slide{number}": f"{main}.slide+xml" for number in numbers},
        ),
        "_rels/.rels": build_relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"{HEAD}<p:presentation {point}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": build_relations(
            *(("slide", f"slides/slide{number}.xml") for number in numbers)
        ),
    }
    for number, words in enumerate(slides, 1):
        parts[f"ppt/slides/slide{number}.xml"] = (
            f"{HEAD}<p:sld {point}><p:cSld><p:spTree><p:sp><p:nvSpPr/><p:spPr/><p:txBody><a:p><a:r><a:t>{words}</a:t>"
            "</a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
        )
    return build_zip(parts)


def odf(kind: str, body: str, more: Mapping[str, str | bytes] | None = None) -> bytes:
    """An OpenDocument file. kind: `text`, `spreadsheet` or `presentation`."""
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    listed = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{media_type}"/>'
    manifest = 'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
    return build_zip(
        {
            "mimetype": media_type,
            "META-INF/manifest.xml": f"{HEAD}<manifest:manifest {manifest}>{listed}</manifest:manifest>",
            "content.xml": f"{HEAD}<office:document-content {ODF}><office:body><office:{kind}>{body}</office:{kind}>"
            "</office:body></office:document-content>",
            **(more or {}),
        }
    )


def odt(*paragraphs: str) -> bytes:
    """An OpenDocument text, the first paragraph a heading."""
    head, *rest = paragraphs
    body = f'<text:h text:outline-level="1">{head}</text:h>' + "".join(f"<text:p>{text}</text:p>" for text in rest)
    return odf("text", body)


def ods(*rows: tuple[str, ...]) -> bytes:
    """An OpenDocument spreadsheet of one sheet."""
    cells = "".join(
        f"<table:table-row>{''.join(f'<table:table-cell><text:p>{value}</text:p></table:table-cell>' for value in row)}"
        "</table:table-row>"
        for row in rows
    )
    return odf("spreadsheet", f'<table:table table:name="Sheet1">{cells}</table:table>')


def epub(title: str, words: str) -> bytes:
    """A book of one chapter."""
    container = 'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"'
    return build_zip(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{HEAD}<container version="1.0" {container}><rootfiles>'
            '<rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "b.opf": f'{HEAD}<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
            '<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
            "c.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{title}</h1><p>{words}</p></body></html>',
        }
    )


def rtf(words: str) -> bytes:
    """A Rich Text file."""
    return rb"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\f0 " + words.encode("ascii") + rb"\par}"


def build_encrypted(data: bytes = b"", stream: str = "EncryptedPackage") -> bytes:
    """What Office writes for a document with a password: a compound file ([MS-CFB]) with the package as a stream."""
    free, end, table, none = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
    content = data.ljust(4096, b"\0")[:4096]
    sectors = [table, end, *range(3, 10), end]
    fat = b"".join(struct.pack("<I", each) for each in sectors).ljust(512, b"\xff")

    def entry(name: str, kind: int, right: int, child: int, first: int) -> bytes:
        spelled = f"{name}\0".encode("utf-16-le") if name else b""
        size = 4096 if kind == 2 else 0
        return struct.pack(
            "<64sHBBIII16sIQQIQ", spelled, len(spelled), kind, 1, none, right, child, b"", 0, 0, 0, first, size
        )

    folder = entry("Root Entry", 5, none, 1, end) + entry("EncryptionInfo", 2, 2, none, 2)
    folder += entry(stream, 2, none, none, 2) + entry("", 0, none, none, 0)
    numbers = (0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    head = struct.pack("<8s16sHHHHH6sIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", *numbers)
    head += b"".join(struct.pack("<I", free) for _ in range(108))
    return head + fat + folder + content
