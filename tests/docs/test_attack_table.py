"""The table of attacks matches the tests: its groups, and how many attacks of each are tried and stopped."""

import importlib
import re
from collections import Counter
from math import prod
from types import FunctionType, ModuleType

from tests.support.doc_tables import REPOSITORY
from tests.support.manual import find_section

ROW = re.compile(r"^\| ([^|`]+?) \| (\d+) \| (\d+) \| ([^|]+) \|$", re.MULTILINE)


def list_modules() -> list[ModuleType]:
    """Imports the modules of the attack list."""
    paths = sorted((REPOSITORY / "tests" / "security").glob("test_*.py"))
    return [importlib.import_module(f"tests.security.{path.stem}") for path in paths]


def count_attacks() -> Counter[str]:
    """Counts the attacks of each group. An attack on several executors counts once."""
    found: Counter[str] = Counter()
    for module in list_modules():
        of_module = list(getattr(module, "pytestmark", ()))
        for name, test in vars(module).items():
            if not name.startswith("test_") or not isinstance(test, FunctionType):
                continue
            marks = [*of_module, *getattr(test, "pytestmark", ())]
            groups = [mark.args[0] for mark in marks if mark.name == "attack"]
            if groups and not any(mark.name == "control" for mark in marks):
                found[groups[-1]] += prod(len(mark.args[1]) for mark in marks if mark.name == "parametrize")
    return found


def test_the_table_matches_the_attack_list():
    """Each group has a row with its number. Every attack that is tried is stopped, or its test would fail."""
    rows = ROW.findall(find_section("The attack list"))
    assert {group: (int(tried), int(stopped)) for group, tried, stopped, _ in rows} == {
        group: (number, number) for group, number in count_attacks().items()
    }
