"""The table of what each API can do has every dialect, and names nothing that its code does not have."""

import ast
import re
from pathlib import Path

from api.settings import Settings
from tests.support.manual import find_section
from tests.support.stack import REPOSITORY

LINES = [line for line in find_section("What each API can do").splitlines() if line.startswith("|")]
ROWS = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in LINES)}
FOLDERS = [cell.strip("`") for cell in ROWS["code"]]
# Words that belong to no dialect.
ELSEWHERE = {"/api", "/mcp"}


def imported(file: Path) -> set[Path]:
    """Finds the modules of the API that a module imports, other dialects included."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "api":
            names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            found |= {REPOSITORY / f"{str(name).replace('.', '/')}.py" for name in names}
    return {path for path in found if path.exists()}


def source(folder: str) -> str:
    """Returns the code of a dialect, of its imports, and of their imports."""
    files = set((REPOSITORY / "api" / "dialects" / folder).glob("*.py"))
    for _ in range(2):
        files |= {each for file in files for each in imported(file)}
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


def test_each_dialect_has_a_column():
    """And each column is one."""
    dialects = {path.parent.name for path in (REPOSITORY / "api" / "dialects").glob("*/routes.py")}
    assert set(FOLDERS) == dialects
    assert len(FOLDERS) == len(dialects)


def test_each_cell_says_something():
    """In every row."""
    for name, cells in ROWS.items():
        assert [bool(cell) for cell in cells] == [True] * len(FOLDERS), name


def test_each_name_is_in_the_dialect_s_code():
    """A parameter, an event or a tool that a cell names belongs to that dialect."""
    for folder, column in zip(
        FOLDERS, zip(*(cells for name, cells in ROWS.items() if name != "code"), strict=True), strict=True
    ):
        text = source(folder)
        named = {name for cell in column for name in re.findall(r"`([^`]+)`", cell)} - ELSEWHERE
        assert {name for name in named if not re.search(rf"\b{re.escape(name.strip('/'))}\b", text)} == set(), folder


def test_only_one_dialect_stores():
    """Only one dialect stores anything, within the limits of its settings."""
    assert [cell for cell in ROWS["stored for later"] if cell != "no"] == ["`store`"]
    assert {"response_store_max_items", "response_store_max_bytes", "response_store_ttl"} <= set(Settings.model_fields)
