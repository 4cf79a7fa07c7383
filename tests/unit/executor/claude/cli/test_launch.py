"""How a CLI is started: its command line and environment as values, its credential, its binary."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.claude.cli.credential import LOGIN_FILE, Credential, find_credential
from executor.claude.cli.launch import (
    FLAGS,
    INHERITED_VARIABLES,
    PASS_THROUGH_ENVIRONMENT,
    QUIET_ENVIRONMENT,
    Launch,
    find_binary,
    select_inherited,
)
from executor.claude.cli.sandbox import CliSandbox
from executor.sandbox.landlock import Rules

BINARY = Path("/opt/claude")
FOLDER = Path("/run/cli-1")
SECRET = "sk-ant-of-the-owner"
API_KEY = find_credential({"ANTHROPIC_API_KEY": SECRET})
OAUTH = find_credential({"CLAUDE_CODE_OAUTH_TOKEN": SECRET})


def launch(secret: Credential = API_KEY, base_url: str | None = None, **more: str) -> Launch:
    """How to start a CLI with this credential."""
    return Launch(BINARY, secret, base_url, more, CliSandbox(Rules()))


def followed_by(argv: tuple[str, ...], flag: str) -> str:
    """The word after a flag that is there once."""
    assert argv.count(flag) == 1
    return argv[argv.index(flag) + 1]


@given(st.text(min_size=8).map("secret-{}".format), st.text().map("http://secret-{}".format))
def test_nothing_that_is_given_shows_in_the_command_line(secret: str, url: str) -> None:
    """It is the same for every key, address and environment: a process list tells nobody anything."""
    given_launch = launch(find_credential({"ANTHROPIC_API_KEY": secret}), url, HTTPS_PROXY=f"http://{secret}@proxy")
    assert given_launch.build_argv() == launch().build_argv()
    assert not [word for word in given_launch.build_argv() if "secret-" in word]


def test_the_command_line_is_the_binary_and_flags_only() -> None:
    """Whole words, in order; with a subscription the same without `--bare`, which does not take one."""
    assert launch().build_argv() == (str(BINARY), *FLAGS, "--bare")
    assert launch(OAUTH).build_argv() == (str(BINARY), *FLAGS)


def test_the_flags_make_a_cli_that_only_talks() -> None:
    """No tools, no settings, no commands, no servers of a user's; every event is told as it happens."""
    argv = launch().build_argv()
    assert followed_by(argv, "--tools") == ""
    assert followed_by(argv, "--setting-sources") == ""
    assert followed_by(argv, "--input-format") == "stream-json"
    assert followed_by(argv, "--output-format") == "stream-json"
    assert followed_by(argv, "--max-turns") == "1"
    assert {
        *("-p", "--verbose", "--include-partial-messages", "--no-session-persistence"),
        *("--strict-mcp-config", "--disable-slash-commands"),
    } <= set(argv)
    assert not [word for word in argv if "dangerous" in word]


@pytest.mark.parametrize(
    ("environ", "kind", "bare"),
    [
        ({"ANTHROPIC_API_KEY": SECRET}, "api_key", True),
        ({"ANTHROPIC_AUTH_TOKEN": SECRET}, "auth_token", True),
        ({"CLAUDE_CODE_OAUTH_TOKEN": SECRET}, "oauth_token", False),
    ],
)
def test_each_secret_reaches_the_cli_under_its_own_name(environ: dict[str, str], kind: str, bare: bool) -> None:  # noqa: FBT001
    """And under no other: the CLI would take it for something else."""
    given_credential = find_credential(environ)
    assert (given_credential.kind, given_credential.bare) == (kind, bare)
    environment = launch(given_credential).build_environment(FOLDER)
    assert {name: value for name, value in environment.items() if SECRET in value} == environ


def test_a_login_reaches_the_cli_as_the_folder_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CLI itself reads and renews it there, while its own folder stays private; a relative path is made whole."""
    (tmp_path / "login").mkdir()
    (tmp_path / "login" / LOGIN_FILE).write_text("{}", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    given_credential = find_credential({"CLAUDE_CONFIG_DIR": "login"})
    assert (given_credential.kind, given_credential.bare) == ("login", False)
    environment = launch(given_credential).build_environment(FOLDER)
    assert environment["CLAUDE_SECURESTORAGE_CONFIG_DIR"] == str(tmp_path / "login")
    assert environment["CLAUDE_CONFIG_DIR"] == str(FOLDER / "config")


@pytest.mark.parametrize("made", ["nothing", "folder", "login is a folder"])
def test_a_folder_without_a_login_is_none(tmp_path: Path, made: str) -> None:
    """Only the file that `claude` writes when someone logs in counts."""
    folder = tmp_path / "config"
    if made != "nothing":
        folder.mkdir()
    if made == "login is a folder":
        (folder / LOGIN_FILE).mkdir()
    assert find_credential({"CLAUDE_CONFIG_DIR": str(folder)}).kind == "none"


def test_the_first_credential_of_several_is_taken_alone(tmp_path: Path) -> None:
    """API key, bearer token, subscription token, login: in this order, and never two at a time."""
    (tmp_path / LOGIN_FILE).write_text("{}", encoding="ascii")
    environ = {
        "ANTHROPIC_API_KEY": "one",
        "ANTHROPIC_AUTH_TOKEN": "two",
        "CLAUDE_CODE_OAUTH_TOKEN": "three",
        "CLAUDE_CONFIG_DIR": str(tmp_path),
    }
    kinds: list[str] = []
    while environ:
        found = find_credential(environ)
        kinds.append(found.kind)
        assert len(found.environment) == 1
        del environ[next(iter(environ))]
    assert kinds == ["api_key", "auth_token", "oauth_token", "login"]


def test_an_empty_credential_is_none() -> None:
    """`NAME=` is as if it were not set; the next in order is looked at."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR")
    assert find_credential({}) == find_credential(dict.fromkeys(names, "")) == Credential("none", {}, bare=True)
    assert find_credential({"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "x"}).kind == "oauth_token"


def test_a_credential_does_not_show_in_its_repr() -> None:
    """Not in its own, and not in that of what holds it."""
    assert repr(API_KEY) == "<Credential api_key>"
    assert SECRET not in repr(launch())


def test_every_folder_that_the_cli_may_write_to_is_its_private_one() -> None:
    """Two CLIs share nothing; what the executor itself has for these names does not get through."""
    theirs: dict[str, str] = dict.fromkeys(("HOME", "CLAUDE_CONFIG_DIR", "TMPDIR", "CLAUDE_CODE_TMPDIR"), "/home/owner")
    environment = Launch(BINARY, API_KEY, None, theirs, CliSandbox(Rules())).build_environment(FOLDER)
    assert {name: environment[name] for name in theirs} == {
        "HOME": str(FOLDER),
        "CLAUDE_CONFIG_DIR": str(FOLDER / "config"),
        "TMPDIR": str(FOLDER),
        "CLAUDE_CODE_TMPDIR": str(FOLDER),
    }


def test_two_environments_differ_in_their_folders_only() -> None:
    """Nothing of a request, and nothing by chance, is in an environment."""
    one, other = launch().build_environment(FOLDER), launch().build_environment(Path("/run/cli-2"))
    assert {name: value.replace("/run/cli-1", "/run/cli-2") for name, value in one.items()} == other


@given(
    st.dictionaries(st.sampled_from([*INHERITED_VARIABLES, "SECRET", "HOME", "LD_PRELOAD", "NODE_OPTIONS"]), st.text())
)
def test_only_listed_names_of_the_executors_environment_are_inherited(environ: dict[str, str]) -> None:
    """Each with its value; nothing else gets through."""
    assert select_inherited(environ) == {name: value for name, value in environ.items() if name in INHERITED_VARIABLES}


@pytest.mark.parametrize(
    "name",
    [
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"),
        *("ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_MODEL", "CLAUDE_CODE_USE_BEDROCK", "CLAUDECODE", "NODE_OPTIONS"),
        *("LD_PRELOAD", "HOME", "TMPDIR", "CLAUDE_CONFIG_DIR", "API_SECRET_TOKEN", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_name_that_could_change_the_cli_is_not_inherited(name: str) -> None:
    """What reaches the CLI is decided here, not by who starts the executor."""
    assert select_inherited({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_an_environment_is_exactly_its_parts() -> None:
    """Inherited, quiet, faithful, the address, the folders, the credential."""
    environment = launch(base_url="http://127.0.0.1:1", PATH="/bin").build_environment(FOLDER)
    folders = {"HOME", "CLAUDE_CONFIG_DIR", "TMPDIR", "CLAUDE_CODE_TMPDIR"}
    assert set(environment) == {
        "PATH",
        *QUIET_ENVIRONMENT,
        *PASS_THROUGH_ENVIRONMENT,
        "ANTHROPIC_BASE_URL",
        *folders,
        "ANTHROPIC_API_KEY",
    }
    assert environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1"
    assert environment.items() >= (QUIET_ENVIRONMENT | PASS_THROUGH_ENVIRONMENT | {"PATH": "/bin"}).items()


@pytest.mark.parametrize("base_url", [None, ""])
def test_without_an_address_the_cli_uses_its_own(base_url: str | None) -> None:
    """An empty variable would be an address."""
    assert "ANTHROPIC_BASE_URL" not in launch(base_url=base_url).build_environment(FOLDER)


def test_what_is_inherited_never_overrides_what_is_decided() -> None:
    """The parts have a fixed order: telemetry stays off, the address and the credential stay ours."""
    theirs = {"DISABLE_TELEMETRY": "0", "ANTHROPIC_API_KEY": "theirs", "ANTHROPIC_BASE_URL": "http://theirs"}
    environment = Launch(BINARY, API_KEY, "http://ours", theirs, CliSandbox(Rules())).build_environment(FOLDER)
    assert [environment[name] for name in theirs] == ["1", SECRET, "http://ours"]


def executable(path: Path, mode: int = 0o755) -> Path:
    """A file that could be a CLI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="ascii")
    path.chmod(mode)
    return path


def test_the_binary_is_the_one_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLAUDE_CLI_PATH wins over the package; a relative path is made whole, since the CLI starts in another folder."""
    expected = executable(tmp_path / "claude")
    assert find_binary(expected) == expected
    monkeypatch.chdir(tmp_path)
    assert find_binary(Path("claude")) == expected


def test_a_linked_binary_is_taken_by_the_name_it_was_given(tmp_path: Path) -> None:
    """A link may be moved to another version later."""
    executable(tmp_path / "claude-2.1")
    (tmp_path / "claude").symlink_to("claude-2.1")
    assert find_binary(tmp_path / "claude") == tmp_path / "claude"


@pytest.mark.parametrize("case", ["missing", "folder", "broken link"])
def test_a_binary_that_can_not_be_run_is_none(tmp_path: Path, case: str) -> None:
    """And the package's is not taken in its place in silence."""
    path = tmp_path / "claude"
    if case == "folder":
        path.mkdir()
    elif case == "broken link":
        path.symlink_to("nowhere")
    assert find_binary(path) is None


def test_a_file_that_is_not_executable_is_none(tmp_path: Path) -> None:
    """The bit is what counts, also for root."""
    assert find_binary(executable(tmp_path / "claude", 0o644)) is None


def package(monkeypatch: pytest.MonkeyPatch, *folders: str) -> None:
    """As if the package were installed in these folders, or not at all."""
    spec = ModuleSpec("claude_agent_sdk", None, is_package=True)
    spec.submodule_search_locations = list(folders)
    found = {"claude_agent_sdk": spec if folders else None}
    monkeypatch.setattr(importlib.util, "find_spec", found.__getitem__)


def test_without_a_setting_the_binary_is_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`claude-agent-sdk` carries the one that was tested."""
    package(monkeypatch, str(tmp_path))
    assert find_binary(None) is None
    expected = executable(tmp_path / "_bundled" / "claude")
    assert find_binary(None) == expected


def test_without_a_setting_or_a_package_there_is_no_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said at start, not raised."""
    package(monkeypatch)
    assert find_binary(None) is None


def test_the_package_is_found_but_never_imported() -> None:
    """Its Python code is no part of this program."""
    assert find_binary(None)
    assert "claude_agent_sdk" not in sys.modules
