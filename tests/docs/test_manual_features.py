"""The manual's table of what each way in can do: it has them all, and names nothing that its code does not have."""

import re

from api.settings import Settings
from tests.manual import section
from tests.stack import REPOSITORY

LINES = [line for line in section("What each way in can do").splitlines() if line.startswith("|")]
ROWS = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in LINES)}
FOLDERS = [cell.strip("`") for cell in ROWS["code"]]
# What a dialect's folder leaves to code that it shares with others.
SHARED = {
    "openai_chat": ("api/content.py", "api/tooling.py", "api/parameters.py"),
    "openai_responses": ("api/content.py", "api/openai_chat/routes.py"),
    "openai_completions": ("api/openai_chat", "api/parameters.py"),
    "rest": ("api/work", "api/parameters.py"),
    "mcp": ("api/work", "api/parameters.py"),
}
# What asks no model.
NO_DIALECT = {"docs", "rest_admin"}
# Words that are no dialect's own.
ELSEWHERE = {"/api", "/mcp"}


def source(folder: str) -> str:
    """The code of a dialect, and what it shares."""
    places = [REPOSITORY / "api" / folder, *(REPOSITORY / place for place in SHARED.get(folder, ()))]
    files = [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_each_dialect_has_a_column():
    """And each column is one."""
    dialects = {path.parent.name for path in (REPOSITORY / "api").glob("*/routes.py")} - NO_DIALECT
    assert set(FOLDERS) == dialects
    assert len(FOLDERS) == len(dialects)


def test_each_cell_says_something():
    """In every row."""
    for name, cells in ROWS.items():
        assert [bool(cell) for cell in cells] == [True] * len(FOLDERS), name


def test_each_name_is_in_the_dialect_s_code():
    """A parameter, an event or a tool that a cell names is one of that dialect's."""
    for folder, column in zip(
        FOLDERS, zip(*(cells for name, cells in ROWS.items() if name != "code"), strict=True), strict=True
    ):
        text = source(folder)
        named = {name for cell in column for name in re.findall(r"`([^`]+)`", cell)} - ELSEWHERE
        assert {name for name in named if not re.search(rf"\b{re.escape(name.strip('/'))}\b", text)} == set(), folder


def test_what_nobody_keeps_is_kept_nowhere():
    """Only one way in keeps anything, and its limits are the settings that say so."""
    assert [cell for cell in ROWS["kept for later"] if cell != "no"] == ["`store`"]
    assert {"stored_responses", "stored_bytes", "stored_age"} <= set(Settings.model_fields)
