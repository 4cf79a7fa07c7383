"""Pages of a PDF become pictures, bounded whatever the file says, or a reason."""

import io

import PIL.Image
import pytest

from executor.tools.files.pages import MAX_SIDE, render_pages
from executor.tools.task import JobRefused
from tests.support.pdf import pdf

LOCK = b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>>>" % (b"00" * 32, b"11" * 32)


@pytest.mark.parametrize(("width", "height"), [(14400, 14400), (14400, 3), (3, 14400), (1, 1)])
def test_a_picture_is_never_larger_than_the_model_takes(width: int, height: int):
    """However large the page is, or how narrow."""
    [page] = render_pages("/a/x.pdf", pdf("words", width=width, height=height), 1, 10).pages
    with PIL.Image.open(io.BytesIO(page.picture)) as picture:
        assert 1 <= min(picture.size) <= max(picture.size) <= MAX_SIDE


def test_pages_end_where_the_file_does():
    """Their numbers are the file's."""
    read = render_pages("/a/x.pdf", pdf("one", "two", "three"), 2, 9)
    assert [(page.number, page.text) for page in read.pages] == [(2, "two"), (3, "three")]
    assert read.count == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pdf("one").replace(b"/Root 1 0 R>>", b"/Root 1 0 R" + LOCK), "password"),
        (b"%PDF-1.7\n", "damaged"),
        (pdf("one", "two"), "2 pages"),
        (pdf("one"), "one page"),
    ],
    ids=["locked", "empty", "beyond the last", "beyond the only"],
)
def test_what_cannot_be_drawn_is_a_reason(data: bytes, words: str):
    """With the file's name."""
    with pytest.raises(JobRefused, match=words) as refused:
        render_pages("/a/x.pdf", data, 3, 3)
    assert "/a/x.pdf" in refused.value.detail
