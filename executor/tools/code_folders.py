"""Protects code that runs outside of the sandbox: no command may write where such code comes from."""

import contextlib
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# In a checkout, or where the packages are installed.
CODE_NAMES = ("api", "executor", "shared", "cli", "deploy", "tests", ".git", ".venv", ".venvs", ".uv")


def find_write_risk(real: str) -> str:
    """Returns why commands must not write to a folder; empty if they may. real: its path, without links."""
    for name, place in _list_protected_folders().items():
        protected = os.path.realpath(place)
        if is_below(protected, real):
            return f"covers {name} ({protected}): what a command writes there would run outside of its sandbox"
    for name, place in _list_code_folders().items():
        protected = os.path.realpath(place)
        if is_below(real, protected):
            return f"is in {name} ({protected}): what a command writes there would run outside of its sandbox"
    return ""


def is_below(path: str, folder: str) -> bool:
    """Whether the path is this folder, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def list_homes(environ: Mapping[str, str]) -> set[str]:
    """Returns the home folders of the user who starts the server; they may not exist."""
    found = {environ.get("HOME", "")}
    # A user id may have no account.
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    return found - {"", "/"}


def _list_protected_folders() -> dict[str, str]:
    """Returns the folders that must not be writable, and neither may any folder above them."""
    checkout = {"the server's code": str(CHECKOUT), "where the server was started": str(Path.cwd())}
    homes = {f"the home folder {home}": home for home in list_homes(os.environ) if Path(home).is_dir()}
    return checkout | homes | _list_code_folders()


def _list_code_folders() -> dict[str, str]:
    """Returns the folders below which nothing may be writable: they contain programs, or configure them."""
    found = {
        "the server's environment": sys.prefix,
        "the server's Python": sys.base_prefix,
        "the system's configuration": "/etc",
    }
    found |= {f"the server's code in {name}": str(CHECKOUT / name) for name in CODE_NAMES if (CHECKOUT / name).exists()}
    found |= {
        f"the configuration in {home}": str(place)
        for home in list_homes(os.environ)
        if os.access(home, os.R_OK)
        for place in Path(home).glob(".*")
        if place.is_dir()
    }
    if cli := os.environ.get("CLAUDE_CLI_PATH"):
        found["the folder of CLAUDE_CLI_PATH"] = os.path.dirname(os.path.realpath(cli))  # noqa: PTH120
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found |= {f"{folder} of PATH": folder for folder in folders if folder[:1] == "/"}
    return {name: place for name, place in found.items() if os.path.realpath(place) != "/"}
