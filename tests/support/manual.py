"""The documents, as tests read them: README, MANUAL and the pages of `docs/`."""

import re

from tests.support.doc_tables import REPOSITORY
from tests.support.generate_docs import find_documents

DOCUMENTS = {path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8") for path in find_documents()}
MANUAL = DOCUMENTS["MANUAL.md"]
# The server's address in the examples.
MANUAL_URL = "http://127.0.0.1:8020"


def read_page(name: str) -> str:
    """Returns the text of a page of `docs/`."""
    return DOCUMENTS[f"docs/{name}.md"]


def find_section(title: str) -> str:
    """Returns the text below the one heading of this title in the documents, down to the next heading of its rank."""
    found = [
        text[match.end() :].split(f"\n{match[1]} ", 1)[0]
        for text in DOCUMENTS.values()
        for match in re.finditer(rf"^(##+) {re.escape(title)}$", text, re.MULTILINE)
    ]
    assert len(found) == 1, f"{len(found)} sections have the title {title!r}"
    return found[0]


def parse_rows(text: str) -> list[list[str]]:
    """Returns the cells of each table row whose first cell is a name; a cell that is only a name loses its backticks."""
    table = [
        [cell.strip() for cell in line.strip("|").split(" |")] for line in text.splitlines() if line.startswith("| `")
    ]
    return [[re.sub("^`([^`]*)`$", r"\1", cell) for cell in row] for row in table]


def list_code_blocks(text: str) -> list[tuple[str, str]]:
    """Returns the code blocks of a text, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def find_example(title: str, language: str, url: str) -> str:
    """Returns the one block of this language below a heading, with the server's address replaced by `url`."""
    [found] = [text for each, text in list_code_blocks(find_section(title)) if each == language]
    assert MANUAL_URL in found
    return found.replace(MANUAL_URL, url)
