"""Where code comes from that runs outside of the sandbox: no command may write there, as it could run later."""

import contextlib
import os
import pwd
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# Of a checkout, or of where the packages are installed.
CODE_NAMES = ("api", "executor", "shared", "cli", "deploy", "tests", ".git", ".venv", ".venvs", ".uv")


def find_write_risk(real: str) -> str:
    """What is wrong with a folder that commands may write; nothing if nothing is. real: its path, without links."""
    for name, place in _list_protected_folders().items():
        kept = os.path.realpath(place)
        if is_below(kept, real):
            return f"covers {name} ({kept}): what a command writes there would run outside of its sandbox"
    for name, place in _list_code_folders().items():
        kept = os.path.realpath(place)
        if is_below(real, kept):
            return f"is in {name} ({kept}): what a command writes there would run outside of its sandbox"
    return ""


def is_below(path: str, folder: str) -> bool:
    """Whether it is this folder, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _list_homes() -> set[str]:
    """The home folders of who starts the server."""
    found = {os.environ.get("HOME", "")}
    # A user may have a number only.
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {home for home in found if home and home != "/" and Path(home).is_dir()}


def _list_protected_folders() -> dict[str, str]:
    """Folders that are no folders to write, nor is any above them."""
    checkout = {"the server's code": str(CHECKOUT), "where the server was started": str(Path.cwd())}
    return checkout | {f"the home folder {home}": home for home in _list_homes()} | _list_code_folders()


def _list_code_folders() -> dict[str, str]:
    """Folders below which nothing is to be written: programs, and what configures them, come from there."""
    found = {
        "the server's environment": sys.prefix,
        "the server's Python": sys.base_prefix,
        "the configuration of the system": "/etc",
    }
    found |= {f"the server's code in {name}": str(CHECKOUT / name) for name in CODE_NAMES if (CHECKOUT / name).exists()}
    found |= {
        f"what is configured in {home}": str(place)
        for home in _list_homes()
        if os.access(home, os.R_OK)
        for place in Path(home).glob(".*")
        if place.is_dir()
    }
    if cli := os.environ.get("CLAUDE_CLI_PATH"):
        found["the folder of CLAUDE_CLI_PATH"] = os.path.dirname(os.path.realpath(cli))  # noqa: PTH120
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found |= {f"{folder} of PATH": folder for folder in folders if folder[:1] == "/"}
    return {name: place for name, place in found.items() if os.path.realpath(place) != "/"}
