"""Folders that commands may write: none from which code comes that runs outside of the sandbox."""

import sys
from pathlib import Path

import pytest

from executor.tools import config_loader
from executor.tools.config_loader import ToolConfigError
from tests.support.stack import REPOSITORY

PLACES = {
    "the checkout": lambda home: REPOSITORY,
    "above the checkout": lambda home: REPOSITORY.parent,
    "the executor's code": lambda home: REPOSITORY / "executor",
    "a folder of the code": lambda home: REPOSITORY / "executor" / "tools",
    "the environment": lambda home: Path(sys.prefix),
    "the environment's programs": lambda home: Path(sys.prefix) / "bin",
    "Python": lambda home: Path(sys.base_prefix) / "lib",
    "the home folder": lambda home: home,
    "above the home folder": lambda home: home.parent,
    "what is configured at home": lambda home: home / ".config",
    "in what is configured at home": lambda home: home / ".config" / "deep",
    "programs of the home folder": lambda home: home / "bin",
    "the CLI's folder": lambda home: home / "cli",
    "the system's configuration": lambda home: Path("/etc"),
    "where it was started": lambda home: home / "started",
    "above all of it": lambda home: Path("/"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with what one has."""
    place = tmp_path / "users" / "me"
    for name in (".config/deep", "bin", "cli", "started", "work", ".ssh"):
        (place / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("PATH", f"{place}/bin:/usr/bin:/bin")
    monkeypatch.setenv("CLAUDE_CLI_PATH", str(place / "cli" / "claude"))
    monkeypatch.chdir(place / "started")
    return place


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("name", PLACES)
def test_where_code_comes_from_is_not_to_be_written(home: Path, tmp_path: Path, name: str, *, linked: bool):
    """Itself, what is above it, and what leads there; it says what it is, and what to do."""
    place = PLACES[name](home)
    if linked:
        (tmp_path / "link").symlink_to(place)
        place = tmp_path / "link"
    with pytest.raises(
        ToolConfigError, match=r"^WRITABLE_PATHS: .*would run outside of its sandbox. Allow a folder made"
    ):
        config_loader.resolve_roots((), (str(place),), {})


@pytest.mark.parametrize("name", ["run", "run/below"])
def test_the_run_dir_is_guarded_before_it_is_there(home: Path, name: str):
    """It is made after the paths were looked at."""
    (home / "work" / "below").mkdir()
    secrets = config_loader.list_secret_paths({"HOME": str(home)}, home / "work" / name)
    with pytest.raises(ToolConfigError, match="RUN_DIR"):
        config_loader.resolve_roots((), (str(home / "work"),), secrets)


def test_a_folder_made_for_it_may_be_written(home: Path, tmp_path: Path):
    """At home, beside it, and below where the server was started."""
    beside = tmp_path / "beside"
    (home / "started" / "workspace").mkdir()
    beside.mkdir()
    for place in (home / "work", beside, home / "started" / "workspace"):
        [root] = config_loader.resolve_roots((), (str(place),), {})
        assert root.writable


def test_what_is_only_read_may_be_code(home: Path):
    """It can't be changed."""
    [root] = config_loader.resolve_roots((str(REPOSITORY / "executor"),), (), {})
    assert not root.writable
