"""The form of the documents: links lead somewhere, tables are even, and files that are named exist."""

import re
from pathlib import PurePosixPath

import pytest

from tests.support.doc_tables import REPOSITORY
from tests.support.manual import DOCUMENTS, MANUAL


def list_anchors(text: str) -> set[str]:
    """Returns the anchors of a document's headings, as GitHub generates them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def count_cells(row: str) -> int:
    """Counts the cells of a table row."""
    return len(re.findall(r"(?<!\\)\|", row)) - 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str):
    """Each link into this repository has a file at its end, and the heading that it names."""
    for target in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (REPOSITORY / PurePosixPath(name).parent / file) if file else REPOSITORY / name
        assert path.exists(), target
        if anchor:
            assert anchor in list_anchors(path.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_table_row_has_its_cells(name: str):
    """As many as the heading has (https://github.github.com/gfm/#tables-extension-)."""
    wanted = 0
    uneven: list[str] = []
    lines = DOCUMENTS[name].splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch(r"\|( ?:?-+:? ?\|)+", following) and line.startswith("|"):
            wanted = count_cells(line)
        elif not line.startswith("|"):
            wanted = 0
        if wanted and count_cells(line) != wanted:
            uneven.append(line)
    assert uneven == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str):
    """A path in backticks that looks like a file of this repository is one."""
    named = re.findall(
        r"`((?:api|executor|shared|deploy|tests|cli|docs)/[\w/.]*|\.(?:ci|env)[\w/.]*)`", DOCUMENTS[name]
    )
    assert [path for path in named if path != ".env" and not (REPOSITORY / path).exists()] == []


def test_the_index_lists_every_page():
    """Each once, and the README and the manual link to the index."""
    listed = re.findall(r"\]\(([\w-]+\.md)\)", DOCUMENTS["docs/README.md"])
    assert sorted(f"docs/{name}" for name in listed) == sorted(
        name for name in DOCUMENTS if name.startswith("docs/") and name != "docs/README.md"
    )
    assert all("docs/README.md" in DOCUMENTS[name] for name in ("README.md", "MANUAL.md"))


def test_the_manual_lists_its_sections():
    """The list at its start has each section, in order; a beginner can read the whole in half an hour."""
    listed = re.findall(r"^\d+\. \[(.*)\]\(#", MANUAL.partition("\n## ")[0], re.MULTILINE)
    assert listed == re.findall(r"^## (.*)$", MANUAL, re.MULTILINE)
    assert len(MANUAL.encode()) <= 35_000


def test_the_readme_starts_with_installing_and_running():
    """The first lines to paste install and start the server."""
    first = re.search(r"```sh\n(.*?)```", DOCUMENTS["README.md"], re.DOTALL)
    assert first
    assert [line.split()[:2] for line in first[1].splitlines()] == [["git", "clone"], ["make", "run"]]
