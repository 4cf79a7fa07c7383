"""Documents made to harm who converts them: bombs, entities, paths, and more than anybody could read.

Invariants: each ends within the limits of a job, as text or with a fault that is named, and no other file is read,
made or changed. The next document is converted as ever.
"""

import stat
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest

from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import ConvertDocument, ConvertedDocument, ReadFile
from tests.support.office import BODY, DOCUMENT, MACROS, build_zip, build_zip_bomb, docx, epub, odf, rtf, xlsx
from tests.support.tools import SECRET, ToolsProgram

pytestmark = [pytest.mark.attack("Documents")]

MEBIBYTE = 1 << 20
LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(12))
    + "]>"
)
QUADRATIC = f'<!DOCTYPE l [<!ENTITY a "{"ha" * 100_000}">]>'
ROW = '<row><c><v>{0}</v></c><c t="inlineStr"><is><t>name {0}</t></is></c></row>'
CELL = "<w:tbl><w:tr><w:tc>"
REPEATED = (
    '<table:table table:name="S"><table:table-row table:number-rows-repeated="1000000">'
    '<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell>'
    "</table:table-row></table:table>"
)
SPAN = '<w:tr><w:tc><w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr><w:p><w:r><w:t>m</w:t></w:r></w:p></w:tc></w:tr>'


def entity(target: str) -> str:
    return f'<!DOCTYPE x [<!ENTITY x SYSTEM "{target}"><!ENTITY % y SYSTEM "{target}"> %y;]>'


def linked(tools: ToolsProgram) -> bytes:
    """A document whose text is a symbolic link to a secret, as zip knows one."""
    written = BytesIO(docx("x"))
    with zipfile.ZipFile(written, "a") as archive:
        for name in ("word/styles.xml", "word/footnotes.xml"):
            link = zipfile.ZipInfo(name)
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, f"{tools.outside}/secret.txt")
    return written.getvalue()


def relinked(tools: ToolsProgram) -> bytes:
    """A document whose relationships lead to a secret."""
    target = f"file://{tools.outside}/secret.txt"
    relation = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/></Relationships>'
    )
    more = {"word/_rels/document.xml.rels": relation.format("footnotes", target)}
    return docx("x", body='<w:p><w:r><w:footnoteReference w:id="1"/></w:r></w:p>', more=more)


# The text that is left of it, where there is some; else the fault that is named.
ATTACKS: dict[str, tuple[Callable[[ToolsProgram], bytes], str]] = {
    "a part that unpacks to 600 MiB": (
        lambda _: build_zip_bomb("word/styles.xml", 600),
        "too large when it is unpacked",
    ),
    "a text that unpacks to 600 MiB": (
        lambda _: build_zip_bomb(DOCUMENT, 600, (f"{BODY[0]}<w:p><w:r><w:t>", f"</w:t></w:r></w:p>{BODY[1]}")),
        "too large when it is unpacked",
    ),
    "a billion laughs": (lambda _: docx("ha &m; ha", declared=LAUGHS), "ha"),
    "one long entity many times": (lambda _: docx("&a;" * 10_000, declared=QUADRATIC), "a;"),
    "an entity of a file": (lambda tools: docx("x &x;", declared=entity(f"file://{tools.outside}/secret.txt")), "x"),
    "an entity of a service": (lambda _: docx("x &x;", declared=entity("http://127.0.0.1:1/x")), "x"),
    "an entity in an OpenDocument text": (
        lambda tools: odf("text", "<text:p>x</text:p>", {"styles.xml": entity(f"file://{tools.outside}/secret.txt")}),
        "x",
    ),
    "an entity in a book": (
        lambda tools: epub("x", f"</p>{entity(f'file://{tools.outside}/secret.txt')}<p>&x;"),
        "x",
    ),
    "parts with paths out of the zip": (
        lambda tools: docx("x", more={f"../../../../..{tools.outside}/made": "x", f"{tools.outside}/made": "x"}),
        "x",
    ),
    "parts that are symbolic links": (linked, "x"),
    "relationships to a file": (relinked, "x"),
    "a million rows": (lambda _: xlsx(raw="".join(map(ROW.format, range(1_000_000)))), "too many cells"),
    "a cell at the far end": (lambda _: xlsx(raw='<row r="1048576"><c r="XFD1048576"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>'), "too wide an area"),
    "a repeated cell": (lambda _: odf("spreadsheet", REPEATED), "too large when it is unpacked"),
    "a cell over all columns": (lambda _: docx("x", body=f"<w:tbl>{SPAN * 10}</w:tbl>"), "m"),
    "tables in tables": (lambda _: docx("x", body=CELL * 100_000), "nested too deeply"),
    "groups in groups": (lambda _: rb"{\rtf1 " + b"{" * 5_000_000, "without any text"),
    "a book in paragraphs of a letter": (lambda _: rb"{\rtf1 " + rb"\par a" * 3_000_000 + b"}", "more time or memory"),
    "as many parts as there is room for": (
        lambda _: build_zip({"[Content_Types].xml": "<Types/>", **{f"x/{at}": "" for at in range(70_000)}}),
        "damaged document",
    ),
    "macros": (lambda _: docx("x", kind=MACROS, more={"word/vbaProject.bin": b"\0" * 4096}), "x"),
    "more than is taken": (lambda _: rtf("x" * 21 * MEBIBYTE), "20971520"),
    "noise": (lambda _: b"PK\3\4[Content_Types].xml" + bytes(range(256)) * 4096, "damaged document"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
async def test_hostile_document_ends_with_text_or_a_fault(tools: ToolsProgram, name: str):
    """Whichever it is, nothing else is read or written, and the executor goes on."""
    made, words = ATTACKS[name]
    before = sorted(tools.folder.rglob("*"))
    output = await tools.run_job(ConvertDocument(made(tools)), 150)
    if isinstance(output.end, Failed):
        assert output.end.kind in {ErrorKind.BAD_JOB, ErrorKind.TOO_LARGE}, output
        # With half of the memory that is usual, the limit of a job may come before the library's own.
        assert words in output.end.detail or "more time or memory" in output.end.detail
    else:
        assert isinstance(output.end, ConvertedDocument), output
        assert words in output.end.markdown
        assert SECRET not in output.end.markdown + output.end.note
        assert len(output.end.markdown) < MEBIBYTE
    assert sorted(tools.folder.rglob("*")) == before
    assert isinstance((await tools.run_job(ConvertDocument(docx("a", "b")))).end, ConvertedDocument)


@pytest.mark.control
async def test_secret_in_a_document_is_text_like_any(tools: ToolsProgram):
    """What is looked for above would be found."""
    end = (await tools.run_job(ConvertDocument(docx("x", SECRET)))).end
    assert isinstance(end, ConvertedDocument)
    assert SECRET in end.markdown.replace("\\", "")


@pytest.mark.control
async def test_document_in_an_allowed_folder_is_read_as_text_and_one_outside_is_not(tools: ToolsProgram):
    """The same policy as for any file."""
    (tools.root / "a.docx").write_bytes(docx("Head", "words"))
    (tools.outside / "a.docx").write_bytes(docx("Head", "words"))
    try:
        assert "words" in str((await tools.run_job(ReadFile(str(tools.root / "a.docx"), as_text=True))).end)
        refused = (await tools.run_job(ReadFile(str(tools.outside / "a.docx"), as_text=True))).failure
        assert refused.kind is ErrorKind.NOT_ALLOWED
    finally:
        (tools.root / "a.docx").unlink()
        (tools.outside / "a.docx").unlink()
