"""The generated tables of the documents match the code, and cover what has hand-written text too."""

import pytest

from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS
from cli.doctor import CHECKS
from shared.errors import ErrorKind
from tests.support.doc_tables import GENERATORS, PAGE_BY_PREFIX, find_doctor_levels, list_routes
from tests.support.generate_docs import EXAMPLE, MARKED, render, render_example
from tests.support.manual import DOCUMENTS, find_section, parse_rows, read_page


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tables_are_current(name: str):
    """If this fails, run `python -m tests.support.generate_docs`."""
    assert DOCUMENTS[name] == render(DOCUMENTS[name])


def test_the_example_of_settings_is_current():
    """If this fails, run `python -m tests.support.generate_docs`."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text == render_example(text)


def test_each_table_is_in_one_document():
    """No generator is unused."""
    used = [found[2] for text in DOCUMENTS.values() for found in MARKED.finditer(text)]
    assert sorted(used) == sorted(GENERATORS)


def test_each_route_is_documented_on_its_page():
    """The page that the table of addresses names describes the address, outside of generated tables."""
    pages = {name: MARKED.sub("", read_page(name)) for name in set(PAGE_BY_PREFIX.values())}
    for _, path in list_routes():
        page = next(page for prefix, page in PAGE_BY_PREFIX.items() if path.startswith(prefix))
        assert path in pages[page], (path, page)


def test_each_error_kind_has_a_fix():
    """The hand-written table has a row for each kind, in the order of the code."""
    text = find_section("When the answer fails").partition("<!-- end -->")[2]
    assert [row[0] for row in parse_rows(text)] == [kind.value for kind in ErrorKind]


def test_each_check_of_the_doctor_has_a_fix():
    """The hand-written table has a row for each check, and each check can report something."""
    text = find_section("Checks").partition("<!-- end -->")[2]
    assert [row[0] for row in parse_rows(text)] == list(CHECKS)
    assert set(find_doctor_levels()) == set(CHECKS)


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("chat-completions", CHAT_PARAMETERS),
        ("completions", COMPLETIONS_PARAMETERS),
        ("responses", RESPONSES_PARAMETERS),
        ("messages", MESSAGES_PARAMETERS),
    ],
)
def test_the_details_are_of_parameters_that_exist(page: str, parameters: dict[str, object]):
    """A bullet below a table of parameters names parameters of that dialect."""
    details = read_page(page).rpartition("<!-- end -->")[2]
    named = [line.partition(":")[0].removeprefix("- ") for line in details.splitlines() if line.startswith("- `")]
    assert {name.strip("`") for line in named for name in line.split(", ")} <= set(parameters)
