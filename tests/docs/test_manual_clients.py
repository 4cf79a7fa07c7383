"""The manual's chapter on clients: each has an example, and what is said of its trial is true."""

import ast
import re
import tomllib

import msgspec
import yaml

from tests.support.manual import find_section, list_code_blocks
from tests.support.recorder.clients import CLIENTS
from tests.support.recorder.recording import load_recording

CHAPTER = find_section("Clients")
TITLES = re.findall(r"^### (.*)$", CHAPTER, re.MULTILINE)
TABLE = {row[0]: row[2] for row in re.findall(r"^\| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", CHAPTER, re.MULTILINE)[2:]}
# Tried by a test of its own, in `tests/clients`.
BY_A_TEST = {"Claude Code"}
READ = {"python": ast.parse, "toml": tomllib.loads, "yaml": yaml.safe_load, "json": msgspec.json.decode}


def test_each_client_has_a_row_and_an_example():
    """In one order; a client of which nothing can be pasted is one that was not tried."""
    assert list(TABLE) == TITLES
    assert [
        title for title in TITLES if not list_code_blocks(title) and not TABLE[title].startswith("not tried: ")
    ] == []


def test_what_was_tried_is_what_was_recorded():
    """The version in a row is that of the recording; a row without one gives the reason."""
    versions = {client.title: load_recording(name).client for name, client in reversed(CLIENTS.items())}
    for title, tried in TABLE.items():
        if title in versions:
            assert tried.replace("`", "") == versions[title]
        else:
            assert title in BY_A_TEST or re.match(r"not tried: .", tried)


def test_the_examples_can_be_read():
    """Each as what it says it is."""
    for title in TITLES:
        for language, text in list_code_blocks(title):
            if language in READ:
                assert READ[language](text) is not None
            else:
                assert language in {"sh", "js"}
