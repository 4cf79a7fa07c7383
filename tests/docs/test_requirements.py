"""The wire checklist is proven: each number by a test that carries it, where the manifest says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.requirements import WIRE_REQUIREMENTS

TESTS = Path(__file__).parent.parent


def marked(path: Path) -> Iterator[int]:
    """The numbers that tests of a file carry: arguments of every `pytest.mark.wire(…)` in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.wire":
            yield from (
                number.value
                for number in node.args
                if isinstance(number, ast.Constant)
                if isinstance(number.value, int)
            )


def noted(path: Path) -> Iterator[int]:
    """The numbers that a golden file shows."""
    found = re.search(r"(?m)^# wire: ([\d ]+)$", path.read_text())
    yield from map(int, found[1].split() if found else ())


def carried() -> dict[str, set[int]]:
    """The numbers that each file, or each folder of golden files, carries; by its place under `tests/`."""
    found: dict[str, set[int]] = {}
    for path in TESTS.rglob("test_*.py"):
        found[path.relative_to(TESTS).as_posix()] = set(marked(path))
    for path in (TESTS / "golden").rglob("*.txt"):
        found.setdefault(path.parent.relative_to(TESTS).as_posix(), set()).update(noted(path))
    return found


CARRIED = carried()


def test_the_manifest_has_every_number_of_the_checklist():
    """1 to 80, none left out."""
    assert list(WIRE_REQUIREMENTS) == list(range(1, 81))


@pytest.mark.parametrize("number", WIRE_REQUIREMENTS)
def test_a_number_is_proven_where_the_manifest_says_or_is_elsewhere(number: int):
    """Each file that it names carries the number."""
    requirement = WIRE_REQUIREMENTS[number]
    assert bool(requirement.test_files) != bool(requirement.elsewhere)
    assert requirement.behaviour.endswith(".")
    missing = [place for place in requirement.test_files if number not in CARRIED.get(place, set())]
    assert missing == []


def test_no_test_carries_a_number_that_is_not_in_the_manifest():
    """A slip of the pen would prove nothing."""
    unknown = {
        place: numbers - set(WIRE_REQUIREMENTS)
        for place, numbers in CARRIED.items()
        if numbers - set(WIRE_REQUIREMENTS)
    }
    assert unknown == {}


def test_what_is_elsewhere_is_not_proven_here_unnoticed():
    """A number that gets a test gets its place in the manifest."""
    elsewhere = {number for number, requirement in WIRE_REQUIREMENTS.items() if requirement.elsewhere}
    assert {place: numbers & elsewhere for place, numbers in CARRIED.items() if numbers & elsewhere} == {}
