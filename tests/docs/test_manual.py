"""The documents say what the code does: nothing is left out of the manual, and nothing in it is made up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest
from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute
from pydantic_core import PydanticUndefined

import api.settings
import executor.settings
from api.app import create_app
from api.conversation import tools
from api.conversation.fields import MAX_STOP_SEQUENCES
from api.conversation.parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS, Parameter
from api.core.problems import STATUS_AND_CODE, problem_from_http_exception
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_completions import decode as completions
from api.http import request_body
from api.http.drain import Drain
from api.media import blocks
from cli.__main__ import main as claude_api_server
from cli.running_server import UNIT_KEY_FILE
from cli.up.command import DEFAULT_RUN_DIR, TOKEN_FILE
from cli.up.environment import COMMON_VARIABLES, CREDENTIAL_VARIABLES, NETWORK_VARIABLES, TELEMETRY_VARIABLES
from shared import errors, turn, wire
from tests.support.manual import MANUAL, find_section
from tests.support.stack import API_KEY, REPOSITORY

DOCUMENTS = ("README.md", "MANUAL.md", "CHANGELOG.md", "CONTRIBUTING.md")
TEXTS = {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in DOCUMENTS}

# The dialects' parameters, by the section that has their table.
PARAMETERS: dict[str, dict[str, Parameter]] = {
    "Parameters of chat completions": CHAT_PARAMETERS,
    "Legacy completions": COMPLETIONS_PARAMETERS,
    "Parameters of responses": RESPONSES_PARAMETERS,
    "`POST /v1/messages`": MESSAGES_PARAMETERS,
}

# How the manual writes that a setting has no default.
NONE = "none"
# /mcp hands every method on; these are the protocol's.
MCP_METHODS = {"POST", "GET", "DELETE"}
# What clients set in environments of their own.
OTHERS = {
    "CLAUDE_CODE_EXTRA_BODY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE_URL",
    "ENABLE_OLLAMA_API",
    "TASK_MODEL_EXTERNAL",
}
# What Compose reads of the file beside it.
OF_COMPOSE = set(
    re.findall(r"^#(\w+)=", (REPOSITORY / "deploy/compose/.env.example").read_text(encoding="utf-8"), re.MULTILINE)
)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, but for their headings."""
    table = [
        [cell.strip() for cell in line.strip("|").split(" |")] for line in text.splitlines() if line.startswith("| `")
    ]
    return [[re.sub("^`([^`]*)`$", r"\1", cell) for cell in row] for row in table]


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every module in these folders."""
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def words(tree: ast.AST) -> Iterator[str]:
    """Every text in a piece of code."""
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def default(value: object) -> str:
    """A setting's default as the manual shows it."""
    return NONE if value in (PydanticUndefined, None, {}, ()) else str(value).lower()


def fields() -> dict[str, tuple[str, str]]:
    """Each setting: its program and its default."""
    of_api = {name.upper(): default(field.default) for name, field in api.settings.Settings.model_fields.items()}
    of_executor = {
        name.upper(): default(field.default) for name, field in executor.settings.Settings.model_fields.items()
    }
    return {
        **{name: ("API", value) for name, value in of_api.items()},
        **{name: ("both" if name in of_api else "executor", value) for name, value in of_executor.items()},
        **dict.fromkeys(CREDENTIAL_VARIABLES, ("executor", NONE)),
    }


def problems() -> set[tuple[str, int]]:
    """The code and status of every problem that the API raises by itself."""
    found = {
        (problem.code, problem.status)
        for problem in (
            problem_from_http_exception(HTTPException(status_code=status)) for status in (400, 404, 405, 413, 415)
        )
    }
    for path, tree in sources("api"):
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            match call.func.id, call.args:
                case "Problem", [ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_]:
                    found.add((code, status))
                case "invalid_problem", [_, _, ast.Constant(value=str(code))]:
                    found.add((code, 400))
                case "invalid_problem", _:
                    found.add(("invalid_value", 400))
                case "media_problem", [ast.Constant(value=str(code)), _, _, *status] if path.parent.name == "media":
                    found.add((code, int(ast.unparse(status[0])) if status else 400))
                case _:
                    pass
    return found


def routes() -> set[str]:
    """Method and path of each of the application's routes, as the manual writes them."""
    settings = api.settings.Settings(api_secret_token=API_KEY)  # pyright: ignore[reportArgumentType] # as from the environment
    app = create_app(settings, Drain(0))
    while not isinstance(app, Litestar):
        app = app._app  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess] # middleware around it
    return {
        f"{method} {re.sub(r'{[^}]*}', '{id}', route.path)}"
        for route in app.routes
        if not route.path.startswith("/docs/")  # files of the page
        for method in (route.methods if isinstance(route, HTTPRoute) else MCP_METHODS)
        if method not in {"OPTIONS", "HEAD"}
    }


def test_the_settings_table_is_the_settings():
    """Each setting has one row, with the program that reads it and its default; nothing else has one."""
    assert {row[0]: (row[1], row[2]) for row in rows(find_section("Settings"))} == fields()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_names_a_setting_that_does_not_exist(name: str):
    """What looks like an environment variable is one that something reads."""
    named = set(re.findall(r"(?<![\w/])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w/])", TEXTS[name]))
    assert (
        named - {*fields(), *COMMON_VARIABLES, *NETWORK_VARIABLES, *TELEMETRY_VARIABLES, *OTHERS, *OF_COMPOSE} == set()
    )


def test_the_error_table_is_the_kinds():
    """Each way an answer can fail has a row with its status, its code, and whether it may be tried again."""
    expected = {
        kind.value: (str(status), code, "yes" if errors.ERROR_INFO[kind].retryable else "no")
        for kind, (status, code) in STATUS_AND_CODE.items()
    }
    assert {row[0]: (row[1], row[2], row[3]) for row in rows(find_section("When the answer fails"))} == expected
    assert set(expected) == set(errors.ErrorKind)


def test_the_refusals_table_is_the_problems():
    """Each way a request can be refused has a row with its status."""
    assert {(row[0], int(row[1])) for row in rows(find_section("When the request is refused"))} == problems()


def test_every_problem_is_found():
    """The codes are told by the code's shape, so each Problem has its code in it, or is made by a function known here."""
    known = {"problem_from_failure", "problem_from_http_exception", "invalid_problem", "media_problem"}
    for path, tree in sources("api"):
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name in known:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Problem":
                    shape = [type(argument) for argument in call.args[:2]]
                    assert shape == [ast.Constant, ast.Constant], f"{path}: {ast.unparse(call)}"


@pytest.mark.parametrize("title", PARAMETERS)
def test_each_parameter_table_is_the_parameters(title: str):
    """Each parameter of a dialect has a row with its treatment, in the code's order, and with its range."""
    table = rows(find_section(title))
    assert [(row[0], row[1]) for row in table] == [(name, what.treatment) for name, what in PARAMETERS[title].items()]
    for row in table:
        if limits := PARAMETERS[title][row[0]].range:
            assert "from {:.9g} to {:.9g}".format(*limits) in row[2]


def test_the_words_that_a_completion_is_asked_with_are_in_the_manual():
    """The very words that the model is told."""
    plain = find_section("Legacy completions").replace("\n> ", " ").replace("\\<", "<")
    assert completions.CONTINUE_PROMPT in plain
    assert completions.FILL_PROMPT in plain


def test_the_endpoints_are_the_routes():
    """Each route has a heading, and each heading is a route."""
    headings = re.findall(r"^### (.*)$", find_section("Endpoints"), re.MULTILINE)
    assert {endpoint for heading in headings for endpoint in re.findall(r"`([^`]+)`", heading)} == routes()


def test_every_header_of_ours_has_a_row():
    """Whatever the API calls `x-…` has a row in the section on headers, and so has what it takes from standards.

    One whose name is put together, such as `x-ratelimit-…`, has an example.
    """
    lines = [line for line in find_section("Headers").splitlines() if line.startswith("| `")]
    told = {name for line in lines for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}
    named = {
        word
        for path, tree in sources("api")
        if path.parent.name != "openapi"
        for word in words(tree)
        if re.fullmatch(r"x-[a-z-]+|retry-after(-ms)?|www-authenticate|openai-[a-z-]+", word)
    }
    # The key's own header is where the key is; x-gzip is an encoding.
    missing = named - told - {"x-api-key", "x-gzip"}
    assert {name for name in missing if not name.endswith("-")} == set()
    assert all(any(header.startswith(name) for header in told) for name in missing)
    assert "x-api-key" in find_section("Endpoints")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_row_of_a_table_has_its_cells(name: str):
    """As many as the heading has (https://github.github.com/gfm/#tables-extension-)."""
    lines = TEXTS[name].splitlines()
    tables = [
        at
        for at, line in enumerate(lines)
        if re.fullmatch(r"\|( ?:?-+:? ?\|)+", line) and lines[at - 1].startswith("|")
    ]
    uneven: list[str] = []
    for at in tables:
        wanted = _cells(lines[at - 1])
        for line in lines[at + 1 :]:
            if not line.startswith("|"):
                break
            if _cells(line) != wanted:
                uneven.append(line)
    assert uneven == []
    assert tables or name != "MANUAL.md"


def _cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def test_every_make_target_has_a_row():
    """And no document names a target that does not exist."""
    targets = set(re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {row[0] for row in rows(find_section("Developing"))} == {f"make {target}" for target in targets}
    named = {
        target
        for text in TEXTS.values()
        for target in re.findall(r"(?:`|^|[A-Z]+=\S+ )make ([a-z]+)", text, re.MULTILINE)
    }
    assert named - targets == set()


@pytest.mark.parametrize("program", ["api", "executor"])
def test_every_flag_is_described(program: str):
    """Each argument of the two programs is in the architecture's tables."""
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
    row = next(row for row in rows(find_section("Architecture")) if row[0] == f"python -m {program}")
    assert [flag for flag in flags if f"`{flag}`" not in row[1]] == []


def test_every_command_is_described():
    """Each command of `claude-api-server`, and each option of its own, is in the manual."""
    assert isinstance(claude_api_server, click.Group)
    for name, command in claude_api_server.commands.items():
        assert f"claude-api-server {name}`" in MANUAL
        for option in command.params:
            assert all(f"`{flag}`" in MANUAL for flag in option.opts)
    options = [flag for option in claude_api_server.params for flag in option.opts]
    assert [flag for flag in options if f"claude-api-server {flag}`" not in MANUAL] == []


def test_the_socket_page_is_the_protocol():
    """Each message of the socket, each field of it and of what it carries, the version and the limit are told."""
    page = find_section("The socket")
    table = [(row[0], row[1]) for row in rows(page)]
    messages = [*get_args(wire.ToExecutor.__value__), wire.ClaudeStatus, *get_args(wire.Event.__value__)]
    for struct in (*messages, *get_args(turn.Block.__value__)):
        tag = str(struct.__struct_config__.tag)
        told = " ".join(fields for name, fields in table if name == tag)
        assert [name for name in struct.__struct_fields__ if not re.search(rf"\b{name}\b", told)] == [], tag
    for struct in (turn.Turn, turn.Message, turn.Tool):
        assert [name for name in struct.__struct_fields__ if f'"{name}"' not in page] == []
    assert f"version** is {wire.PROTOCOL_VERSION}." in page
    assert f"from 1 to {wire.MAX_FRAME // 2**20} MiB" in page
    assert wire.encode_frame(wire.GetStatus()).hex(" ") in page


def test_the_turn_on_the_socket_page_is_one():
    """The example can be read as what it says it is."""
    found = re.search(r"```json\n(.*?)```", find_section("The socket"), re.DOTALL)
    assert found
    example = msgspec.json.decode(found[1].encode(), type=turn.Turn)
    assert msgspec.to_builtins(example).keys() == msgspec.json.decode(found[1]).keys()


def test_where_the_key_is_is_told_for_each_way():
    """At the manual's head, whose examples need it: where the start, the unit and the container have it from."""
    unit = (REPOSITORY / "deploy/systemd/claude-api.service").read_text(encoding="utf-8")
    compose = (REPOSITORY / "deploy/compose/compose.yaml").read_text(encoding="utf-8")
    of_unit, of_container = (
        re.search(r"^LoadCredential=API_SECRET_TOKEN:(\S+)$", unit, re.MULTILINE),
        re.search(r"^  api-secret-token: \{file: (\S+)\}$", compose, re.MULTILINE),
    )
    assert of_unit
    assert of_container
    head = MANUAL.partition("\n## ")[0]
    for place in (f"{DEFAULT_RUN_DIR}/{TOKEN_FILE}", of_unit[1], f"deploy/compose/{of_container[1]}"):
        assert f"cat {place})" in head
    assert str(UNIT_KEY_FILE) == of_unit[1]


def test_the_limits_are_the_code_s():
    """Sizes and counts in the manual are those that hold."""
    limits = find_section("Limits")
    sizes = {
        "A body": request_body.MAX_BODY_BYTES,
        "a picture": blocks.MAX_IMAGE_BYTES,
        "a file": blocks.MAX_FILE_BYTES,
    }
    for what, size in sizes.items():
        assert re.search(rf"{what}( may have)? {size // 2**20} MiB", limits)
    assert f"{tools.MAX_TOOLS} tools" in limits
    assert f"{MAX_STOP_SEQUENCES} `stop` texts" in limits
    for table in ("Parameters of chat completions", "Legacy completions"):
        assert [
            row[2]
            for row in rows(find_section(table))
            if row[0] == "stop" and f"up to {MAX_STOP_SEQUENCES};" not in row[2]
        ] == []
    assert f"{blocks.MAX_IMAGE_SIDE} pixels" in find_section("Pictures and files")


def test_the_readme_begins_with_the_two_commands():
    """Who reads no further can run it and test it."""
    first = re.search(r"```sh\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert first
    assert [line.partition("#")[0].strip() for line in first[1].splitlines()] == ["make run", "make test"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str):
    """Each link into this repository has a file at its end, and the heading it names."""
    for target in re.findall(r"\]\(([^)]+)\)", TEXTS[name]):
        if target.startswith("https://"):
            continue
        file, _, heading = target.partition("#")
        path = REPOSITORY / (file or name)
        assert path.exists(), target
        if heading:
            assert heading in headings(path.read_text(encoding="utf-8")), target


def headings(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_manual_lists_its_sections():
    """The list at its head has each section, in order."""
    listed = re.findall(r"^\d+\. \[(.*)\]\(#", MANUAL.partition("\n## ")[0], re.MULTILINE)
    assert listed == re.findall(r"^## (.*)$", MANUAL, re.MULTILINE)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str):
    """What looks like a file of ours is one."""
    named = re.findall(r"`((?:api|executor|shared|deploy|tests)/[\w/.]*|\.(?:ci|env)[\w/.]*)`", TEXTS[name])
    assert [path for path in named if path != ".env" and not (REPOSITORY / path).exists()] == []


def test_the_bench_s_figures_have_their_place():
    """The table of `make bench` is pasted in at this mark."""
    assert "<!-- bench -->" in find_section("Speed")
