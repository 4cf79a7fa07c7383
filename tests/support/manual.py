"""The manual, as tests read it."""

import re

from tests.support.stack import REPOSITORY

MANUAL = (REPOSITORY / "MANUAL.md").read_text(encoding="utf-8")
# Where the manual has the server.
MANUAL_URL = "http://127.0.0.1:8020"


def find_section(title: str) -> str:
    """The text below a heading of the manual, down to the next of its rank."""
    found = re.search(rf"^(##+) {re.escape(title)}$", MANUAL, re.MULTILINE)
    assert found, f"the manual has no section {title!r}"
    rest = MANUAL[found.end() :]
    end = re.search(rf"^#{{2,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def list_code_blocks(title: str) -> list[tuple[str, str]]:
    """The code blocks below a heading, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", find_section(title), re.MULTILINE | re.DOTALL)


def find_example(title: str, language: str, url: str) -> str:
    """The one block of this language below a heading, as it stands there, but for the server's address."""
    [found] = [text for each, text in list_code_blocks(title) if each == language]
    assert MANUAL_URL in found
    return found.replace(MANUAL_URL, url)
