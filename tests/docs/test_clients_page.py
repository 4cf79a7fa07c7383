"""The page on clients: each client has an example, and its version is the one that was recorded."""

import ast
import re
import tomllib

import msgspec
import yaml

from tests.support.manual import find_section, list_code_blocks, read_page
from tests.support.recorder.clients import CLIENTS
from tests.support.recorder.recording import load_recording

PAGE = read_page("clients")
TITLES = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
TABLE = {row[0]: row[2] for row in re.findall(r"^\| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)[2:]}
# Covered by a separate test in `tests/clients`.
BY_A_TEST = {"Claude Code"}
READ = {"python": ast.parse, "toml": tomllib.loads, "yaml": yaml.safe_load, "json": msgspec.json.decode}


def test_each_client_has_a_row_and_an_example():
    """In one order; a client without an example was not tried."""
    assert list(TABLE) == TITLES
    assert [
        title
        for title in TITLES
        if not list_code_blocks(find_section(title)) and not TABLE[title].startswith("not tried: ")
    ] == []


def test_what_was_tried_is_what_was_recorded():
    """The version in a row is that of the recording; a row without a version gives the reason."""
    versions = {client.title: load_recording(name).client for name, client in reversed(CLIENTS.items())}
    for title, tried in TABLE.items():
        if title in versions:
            assert tried.replace("`", "") == versions[title]
        else:
            assert title in BY_A_TEST or re.match(r"not tried: .", tried)


def test_the_examples_can_be_read():
    """Each parses as its language."""
    for title in TITLES:
        for language, text in list_code_blocks(find_section(title)):
            if language in READ:
                assert READ[language](text) is not None
            else:
                assert language in {"sh", "js"}
