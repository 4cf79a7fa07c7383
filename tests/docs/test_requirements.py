"""Tests cover the wire checklist: the manifest names the tests of each requirement, and these carry its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.requirements import WIRE_REQUIREMENTS

TESTS = Path(__file__).parent.parent


def find_marks(path: Path) -> Iterator[int]:
    """Finds the numbers that the tests of a file carry: the arguments of each `pytest.mark.wire(…)`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.wire":
            yield from (
                number.value
                for number in node.args
                if isinstance(number, ast.Constant)
                if isinstance(number.value, int)
            )


def find_notes(path: Path) -> Iterator[int]:
    """Finds the numbers that a golden file carries."""
    found = re.search(r"(?m)^# wire: ([\d ]+)$", path.read_text())
    yield from map(int, found[1].split() if found else ())


def find_numbers() -> dict[str, set[int]]:
    """Finds the numbers that each file, or each folder of golden files, carries, by its path under `tests/`."""
    found: dict[str, set[int]] = {}
    for path in TESTS.rglob("test_*.py"):
        found[path.relative_to(TESTS).as_posix()] = set(find_marks(path))
    for path in (TESTS / "golden").rglob("*.txt"):
        found.setdefault(path.parent.relative_to(TESTS).as_posix(), set()).update(find_notes(path))
    return found


CARRIED = find_numbers()


def test_the_manifest_has_every_number_of_the_checklist():
    """1 to 80, without a gap."""
    assert list(WIRE_REQUIREMENTS) == list(range(1, 81))


@pytest.mark.parametrize("number", WIRE_REQUIREMENTS)
def test_a_requirement_has_its_tests_or_is_covered_elsewhere(number: int):
    """Each file that the manifest names carries the number."""
    requirement = WIRE_REQUIREMENTS[number]
    assert bool(requirement.test_files) != bool(requirement.elsewhere)
    assert requirement.behaviour.endswith(".")
    missing = [place for place in requirement.test_files if number not in CARRIED.get(place, set())]
    assert missing == []


def test_every_number_is_in_the_manifest():
    """A wrong number would cover nothing."""
    unknown = {
        place: numbers - set(WIRE_REQUIREMENTS)
        for place, numbers in CARRIED.items()
        if numbers - set(WIRE_REQUIREMENTS)
    }
    assert unknown == {}


def test_a_requirement_covered_elsewhere_has_no_test_here():
    """A requirement that gets a test gets its entry in the manifest."""
    elsewhere = {number for number, requirement in WIRE_REQUIREMENTS.items() if requirement.elsewhere}
    assert {place: numbers & elsewhere for place, numbers in CARRIED.items() if numbers & elsewhere} == {}
