"""The manual's table of attacks is counted from the tests: its groups, and how many of each are tried and stopped."""

import importlib
import re
from collections import Counter
from math import prod
from types import FunctionType, ModuleType

from tests.docs.test_manual import find_section
from tests.support.stack import REPOSITORY

ROW = re.compile(r"^\| ([^|`]+?) \| (\d+) \| (\d+) \| ([^|]+) \|$", re.MULTILINE)


def modules() -> list[ModuleType]:
    """Those of the attack list."""
    paths = sorted((REPOSITORY / "tests" / "security").glob("test_*.py"))
    return [importlib.import_module(f"tests.security.{path.stem}") for path in paths]


def counted() -> Counter[str]:
    """How many attacks of each group there are. One that is tried on several executors is one."""
    found: Counter[str] = Counter()
    for module in modules():
        of_module = list(getattr(module, "pytestmark", ()))
        for name, test in vars(module).items():
            if not name.startswith("test_") or not isinstance(test, FunctionType):
                continue
            marks = [*of_module, *getattr(test, "pytestmark", ())]
            groups = [mark.args[0] for mark in marks if mark.name == "attack"]
            if groups and not any(mark.name == "control" for mark in marks):
                found[groups[-1]] += prod(len(mark.args[1]) for mark in marks if mark.name == "parametrize")
    return found


def test_the_table_of_attacks_is_the_attack_list():
    """Each group has a row, with its number; what is tried is stopped, or its test would fail."""
    rows = ROW.findall(find_section("The attack list"))
    assert {group: (int(tried), int(stopped)) for group, tried, stopped, _ in rows} == {
        group: (number, number) for group, number in counted().items()
    }
