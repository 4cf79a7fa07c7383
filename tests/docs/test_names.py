"""Names in the documents exist in the code: settings, make targets, flags, commands and headers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import api.settings
import executor.settings
from cli.__main__ import main as claude_api_server
from cli.up.environment import COMMON_VARIABLES, CREDENTIAL_VARIABLES, NETWORK_VARIABLES, RENAMED, TELEMETRY_VARIABLES
from tests.support.doc_tables import REPOSITORY
from tests.support.manual import DOCUMENTS, find_section, parse_rows, read_page

SETTINGS = {name.upper() for program in (api.settings, executor.settings) for name in program.Settings.model_fields}
# Variables of clients.
CLIENT_VARIABLES = {
    "CLAUDE_CODE_EXTRA_BODY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE_URL",
    "ENABLE_OLLAMA_API",
    "TASK_MODEL_EXTERNAL",
}
COMPOSE_VARIABLES = set(
    re.findall(r"^#(\w+)=", (REPOSITORY / "deploy/compose/.env.example").read_text(encoding="utf-8"), re.MULTILINE)
)
VARIABLES = {
    *(*SETTINGS, *CLIENT_VARIABLES, *COMPOSE_VARIABLES, *COMMON_VARIABLES),
    *(*CREDENTIAL_VARIABLES, *NETWORK_VARIABLES, *TELEMETRY_VARIABLES),
}


def parse_sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Parses every module in these folders."""
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def list_strings(tree: ast.AST) -> Iterator[str]:
    """Lists every string constant in a piece of code."""
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_variable_exists(name: str):
    """What looks like an environment variable is read by some program; the changelog's "Renamed" has old names too."""
    text = DOCUMENTS[name].partition("### Renamed")[0]
    named = set(re.findall(r"(?<![\w/])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w/])", text))
    assert named - VARIABLES == set()


def test_the_changelog_lists_the_renamed_settings():
    """The same as those that a start reports."""
    found = re.findall(r"^\| setting \| `(\w+)` \| `(\w+)` \|$", find_section("Renamed"), re.MULTILINE)
    assert dict(found) == RENAMED


def test_each_credential_is_described():
    """The hand-written table of credentials has each."""
    assert {row[0] for row in parse_rows(find_section("Credentials"))} == set(CREDENTIAL_VARIABLES)


def test_each_make_target_exists():
    """No document names a target that does not exist."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for text in DOCUMENTS.values()
        for target in re.findall(r"(?:`|^|[A-Z]+=\S+ )make ([a-z]+)", text, re.MULTILINE)
    }
    assert named - targets == set()


@pytest.mark.parametrize("program", ["api", "executor"])
def test_each_flag_is_described(program: str):
    """Each argument of the two programs is in the architecture's table."""
    tree = ast.parse((REPOSITORY / program / "__main__.py").read_text(encoding="utf-8"))
    flags = {
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_argument"
        and isinstance(call.args[0], ast.Constant)
    }
    assert flags
    row = next(row for row in parse_rows(find_section("Programs")) if row[0] == f"python -m {program}")
    assert [flag for flag in flags if f"`{flag}`" not in row[1]] == []


def test_each_command_is_described():
    """Each command of `claude-api-server`, and each option, is in the documents."""
    assert isinstance(claude_api_server, click.Group)
    text = "\n".join(DOCUMENTS.values())
    for name, command in claude_api_server.commands.items():
        assert f"claude-api-server {name}`" in text
        for option in command.params:
            assert all(f"`{flag}`" in text for flag in option.opts)
    options = [flag for option in claude_api_server.params for flag in option.opts]
    assert [flag for flag in options if f"claude-api-server {flag}`" not in text] == []


def test_each_header_is_described():
    """The section on headers has each `x-…` header of the API, and the standard headers that it sends.

    A header whose name is composed, such as `x-ratelimit-…`, has an example.
    """
    lines = [line for line in find_section("Headers").splitlines() if line.startswith("| `")]
    described = {name for line in lines for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}
    named = {
        word
        for path, tree in parse_sources("api")
        if path.parent.name != "openapi"
        for word in list_strings(tree)
        if re.fullmatch(r"x-[a-z-]+|retry-after(-ms)?|www-authenticate|openai-[a-z-]+", word)
    }
    # The key's own header is described with the key; x-gzip is an encoding.
    missing = named - described - {"x-api-key", "x-gzip"}
    assert {name for name in missing if not name.endswith("-")} == set()
    assert all(any(header.startswith(name) for header in described) for name in missing)
    assert "x-api-key" in read_page("http")
