"""Stop texts are found wherever deltas are cut, and nothing of them is given out."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from executor.claude.output.stop import StopScanner

few = st.text(alphabet="ab\n", max_size=12)
stop_texts = st.lists(st.text(alphabet="ab\n", max_size=4), max_size=4)
places = st.lists(st.integers(0, 12), max_size=8)


def pieces(text: str, at: Sequence[int]) -> list[str]:
    """The text, cut at these places."""
    ends = sorted({min(place, len(text)) for place in at} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def scanned(parts: Sequence[str], stops: Sequence[str]) -> tuple[str, bool]:
    """All that is said of these parts, and whether a stop was met."""
    scanner = StopScanner(stops)
    said = ""
    for part in parts:
        more, met = scanner.feed(part)
        said += more
        if met:
            return said, True
    return said + scanner.flush(), False


def expected(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the stop that is whole first; of two that end together, the longer."""
    ends = [(at + len(stop), at) for stop in stops if stop and (at := text.find(stop)) >= 0]
    return (text[: min(ends)[1]], True) if ends else (text, False)


@pytest.mark.wire(14)
@given(few, stop_texts, places)
@example("abab", ["abab", "ba"], [])
@example("abab", ["abab", "ba"], [1, 2, 3])
def test_wherever_the_text_is_cut_the_answer_is_that_of_the_whole(text: str, stops: list[str], at: list[int]):
    """`str.find` on the whole text says where it ends."""
    assert scanned(pieces(text, at), stops) == expected(text, stops)


@pytest.mark.wire(14)
@given(few, few.filter(bool), places)
def test_one_stop_is_where_it_is_found_first(text: str, stop: str, at: list[int]):
    """With one stop there is nothing to choose."""
    found = text.find(stop)
    assert scanned(pieces(text, at), [stop]) == ((text, False) if found < 0 else (text[:found], True))


@pytest.mark.wire(14, 38)
@given(few, stop_texts, places)
def test_no_more_is_held_back_than_may_become_a_stop(text: str, stops: list[str], at: list[int]):
    """What is held is the beginning of a stop, and the longest there is."""
    scanner = StopScanner(stops)
    given_out = came = ""
    for part in pieces(text, at):
        came += part
        more, met = scanner.feed(part)
        given_out += more
        if met:
            return
        held = came.removeprefix(given_out)
        assert given_out + held == came
        begins = [came[-size:] for size in range(1, len(came) + 1) if any(s.startswith(came[-size:]) for s in stops)]
        assert held == max(begins, key=len, default="")


@pytest.mark.wire(14)
@pytest.mark.parametrize(
    ("parts", "stops", "answer"),
    [
        (["one E", "N", "D two"], ["END"], ("one ", True)),
        (["E", "N", "d"], ["END"], ("ENd", False)),
        (["aa", "ab"], ["aab"], ("a", True)),
        (["\r", "\n"], ["\n"], ("\r", True)),
        (["👩\u200d", "👧!"], ["👩\u200d👧"], ("", True)),
        (["abc"], [], ("abc", False)),
        (["abc"], [""], ("abc", False)),
    ],
)
def test_some_answers_end_so(parts: list[str], stops: list[str], answer: tuple[str, bool]):
    """Near misses are said, whole ones are not."""
    assert scanned(parts, stops) == answer


def test_what_was_held_is_given_out_once():
    """At the end nothing more can make a stop of it."""
    scanner = StopScanner(["abc"])
    assert scanner.feed("ab") == ("", None)
    assert scanner.flush() == "ab"
    assert scanner.flush() == ""
