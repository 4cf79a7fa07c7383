"""What the manual says of the doctor is what the doctor looks at, and can find."""

import ast
from collections import defaultdict

from cli.doctor import CHECKS
from tests.docs.test_manual import find_section, rows, sources


def levels() -> dict[str, set[str]]:
    """How bad each thing that is looked at can be, by the calls that make findings."""
    found: dict[str, set[str]] = defaultdict(set)
    for _, tree in sources("cli/doctor"):
        for call in ast.walk(tree):
            match call:
                case ast.Call(ast.Name("warning" | "error" as level), [ast.Constant(str(check)), *_]):
                    found[check].add(level)
                case ast.Call(ast.Name("to_finding"), [ast.Constant(str(check)), _, ast.Constant(str(level))]):
                    found[check].add(level)
                case ast.Call(ast.Name("to_finding"), [ast.Constant(str(check)), *_]):
                    found[check].add("error")
                case ast.Call(ast.IfExp(), [ast.Constant(str(check)), *_]):
                    found[check] |= {"warning", "error"}
                case _:
                    pass
    return found


def test_the_table_is_what_is_looked_at_and_how_bad_it_can_be():
    """Each check has a row, in the order in which findings are shown, with the levels that the code gives it."""
    table = [row for row in rows(find_section("The doctor")) if not row[0].startswith("--")]
    assert [(row[0], row[1]) for row in table] == list(CHECKS.items())
    assert {row[0]: set(row[2].split(", ")) for row in table} == levels()
    assert all(row[3] for row in table)
