"""Lines of a file that is too large to be held."""

import io

import pytest

from executor.tools.files import read as parts
from executor.tools.files.read import LineRange, read_lines

TEXT = "".join(f"line {number}\n" for number in range(1, 201)) + "last é"
LINES = TEXT.splitlines(keepends=True)


@pytest.fixture(autouse=True, params=[1, 7, 64, 1 << 20])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in pieces of every size."""
    monkeypatch.setattr(parts, "CHUNK_SIZE", request.param)


def read(text: str, first: int, limit: int | None, most: int = 10_000) -> LineRange | None:
    data = text.encode()
    return read_lines(io.BytesIO(data), len(data), first, limit, most)


@pytest.mark.parametrize("first", [1, 2, 100, 200, 201, 202, 900])
@pytest.mark.parametrize("limit", [None, 1, 3, 500])
def test_lines_are_those_that_were_asked_for(first: int, limit: int | None):
    """And all of them are counted."""
    expected = LINES[first - 1 : None if limit is None else first - 1 + limit]
    assert read(TEXT, first, limit) == LineRange("".join(expected).encode(), 201, truncated=False)


def test_what_is_given_back_is_bounded_by_whole_lines():
    """Or, of one line, by whole letters."""
    assert read(TEXT, 1, None, most=20) == LineRange(b"line 1\nline 2\n", 201, truncated=True)
    assert read("é" * 100, 1, 1, most=9) == LineRange("éééé".encode(), 1, truncated=True)
    assert read(TEXT, 2, 2, most=14) == LineRange(b"line 2\nline 3\n", 201, truncated=False)


def test_what_is_no_text_has_no_lines():
    """A NUL is enough."""
    assert read("one\n\0two\n", 1, 1) is None


def test_rest_of_a_file_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch):
    """Then nobody knows how many lines it has."""
    monkeypatch.setattr(parts, "MAX_COUNTED_SIZE", 10)
    assert read(TEXT, 2, 2) == LineRange(b"line 2\nline 3\n", None, truncated=False)
    assert read(TEXT, 1, None, most=20) == LineRange(b"line 1\nline 2\n", None, truncated=True)
