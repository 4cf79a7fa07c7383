"""Office documents become Markdown with a note of what is left out, or a reason."""

import pytest

from executor.tools.files.documents import convert_document
from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.text.file_types import is_office_document
from tests.support.office import MACROS, build_encrypted, build_zip, docx, epub, odf, ods, odt, pptx, rtf, xlsx

TABLE = "| Name | Age |\n| --- | --- |\n| Ann | 3 |\n"
SLIDE = "<draw:page><draw:frame><draw:text-box><text:p>words</text:p></draw:text-box></draw:frame></draw:page>"
DOCUMENTS = {
    "docx": (docx("Head", "words"), "# Head\n\nwords\n", "Word"),
    "docm": (docx("Head", "words", kind=MACROS, more={"word/vbaProject.bin": b"\0"}), "# Head\n\nwords\n", "Word"),
    "xlsx": (xlsx(("Name", "Age"), ("Ann", 3)), TABLE, "Excel"),
    "pptx": (pptx("one", "two"), "one\n\ntwo\n", "PowerPoint"),
    "odt": (odt("Head", "words"), "# Head\n\nwords\n", "OpenDocument text"),
    "ods": (ods(("Name", "Age"), ("Ann", "3")), TABLE, "OpenDocument spreadsheet"),
    "odp": (odf("presentation", SLIDE), "words\n", "OpenDocument presentation"),
    "rtf": (rtf("words"), "words\n", "Rich Text"),
    "epub": (epub("Head", "words"), "# Head\n\nwords\n", "EPUB"),
}
PICTURE = {"word/media/image1.png": b"\x89PNG"}


@pytest.mark.parametrize(("data", "markdown", "kind"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_each_kind_of_document_becomes_markdown(data: bytes, markdown: str, kind: str):
    """And says what it was."""
    assert is_office_document(data)
    found = convert_document(data)
    assert found.markdown == markdown
    assert kind in found.note


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "from a Word document, without page headers"),
        (PICTURE, "without its picture, page"),
        ({**PICTURE, "word/media/b.emf": b""}, "without its 2 pictures"),
        ({"docProps/thumbnail.jpeg": b""}, "from a Word document, without page headers"),
    ],
    ids=["none", "one", "two", "a thumbnail"],
)
def test_pictures_that_are_left_out_are_counted(parts: dict[str, bytes], words: str):
    """A thumbnail shows nothing that the text does not say."""
    assert words in convert_document(docx("a", "b", more=parts)).note


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (build_encrypted(), "password"),
        (build_encrypted(stream="__properties_version1.0"), "none of these"),
        (docx("a", "b")[:300], "damaged"),
        (build_zip({"[Content_Types].xml": "x"}), "none of these"),
        (docx(more={"word/document.xml": "<"}), "Word document"),
        (docx(), "without any text."),
        (docx(more=PICTURE), "send it as PDF"),
        (b"PK\3\4[Content_Types].xml", "damaged"),
    ],
    ids=["locked", "a mail", "cut", "a bare zip", "cut XML", "empty", "only pictures", "only a beginning"],
)
def test_what_cannot_be_converted_is_a_reason(data: bytes, words: str):
    """With what to do, where there is something."""
    with pytest.raises(JobRefused, match=words) as refused:
        convert_document(data)
    assert refused.value.kind is ErrorKind.BAD_JOB


@pytest.mark.parametrize("data", [build_zip({"a.txt": "words"}), b"", b"PK", b"words", b"%PDF-1.7\n"])
def test_other_files_are_no_office_documents(data: bytes):
    """A zip is one by the parts that it has."""
    assert not is_office_document(data)
