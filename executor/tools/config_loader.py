"""Resolves the settings of what the owner allows, once at the start.

Invariants: a path or command that does not exist, or that exposes the server's own secrets, is reported at the start with
the fix. No command may write where code comes from that runs outside of the sandbox.
"""

import contextlib
import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from executor.sandbox import elf
from executor.sandbox.confine import Program
from executor.sandbox.elf import NotAProgram
from executor.tools.config import SHELL_PATH, Root

SHELL_BUILTINS = ("echo", "pwd")
CHECKOUT = Path(__file__).resolve().parents[2]
# In a checkout, or where the packages are installed.
CODE_NAMES = ("api", "executor", "shared", "cli", "deploy", "tests", ".git", ".venv", ".venvs", ".uv")


class ToolConfigError(Exception):
    """A setting can't be used; the message names it and the fix."""


def split_list(text: str | None) -> tuple[str, ...]:
    """Splits a setting at its commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def resolve_roots(allowed: Iterable[str], writable: Iterable[str], secrets: Mapping[str, str]) -> tuple[Root, ...]:
    """Resolves the folders. secrets: the paths of the server's own secrets, by name. Raises ToolConfigError."""
    found: dict[str, Root] = {}
    for setting, paths in (("ALLOWED_PATHS", allowed), ("WRITABLE_PATHS", writable)):
        for path in paths:
            configured = os.path.normpath(Path.cwd() / Path(path).expanduser())
            real = os.path.realpath(configured)
            if not _is_folder(real, setting):
                raise ToolConfigError(f"{setting}: {configured} is not a folder. Make it, or take it out of {setting}.")
            for name, secret in secrets.items():
                real_secret = os.path.realpath(secret)
                if _is_below(real_secret, real) or _is_below(real, real_secret):
                    raise ToolConfigError(
                        f"{setting}: {configured} covers the server's own {name} ({real_secret}). "
                        "Allow a folder without it."
                    )
            if setting == "WRITABLE_PATHS":
                unsafe = _find_write_risk(real)
                if unsafe:
                    raise ToolConfigError(f"WRITABLE_PATHS: {configured} {unsafe}. Allow a folder made for it.")
            found[real] = Root(real, configured, writable=setting == "WRITABLE_PATHS")
    return tuple(found.values())


def _is_folder(path: str, setting: str) -> bool:
    try:
        return Path(path).is_dir()
    except PermissionError as error:
        raise ToolConfigError(
            f"{setting}: {path} can't be reached by the user who starts the tools executor. Let that user enter every "
            "folder above it."
        ) from error


def list_secret_paths(environ: Mapping[str, str], run_dir: Path) -> dict[str, str]:
    """Returns the paths of the server's secrets, which no tool may see, by name."""
    places = {"RUN_DIR": str(run_dir), ".env": str(Path.cwd() / ".env")}
    homes = _list_homes(environ)
    places |= {f"Claude config folder in {home}": f"{home}/.claude" for home in homes}
    places |= {f"Claude login in {home}": f"{home}/.claude.json" for home in homes}
    for name, default in (("DATA_DIR", ".data"), ("CLAUDE_CONFIG_DIR", "")):
        if place := environ.get(name, default):
            places[name] = place
    # These may be created at the first start, so they are protected before they exist.
    always = {"RUN_DIR", *(name for name in ("DATA_DIR", "CLAUDE_CONFIG_DIR") if environ.get(name))}
    return {name: place for name, place in places.items() if name in always or _may_exist(place)}


def _may_exist(place: str) -> bool:
    # A path that this user can't look at may exist, so it is protected.
    try:
        return Path(place).exists()
    except PermissionError:
        return True


def resolve_commands(names: Iterable[str]) -> dict[str, Program | None]:
    """Returns the programs by name. Raises ToolConfigError."""
    found: dict[str, Program | None] = {}
    for name in names:
        path = shutil.which(name)
        try:
            if path is None and name not in SHELL_BUILTINS:
                raise NotAProgram(f"there is no program {name} in PATH")
            found[Path(name).name] = elf.resolve_program(path) if path else None
        except NotAProgram as problem:
            raise ToolConfigError(f"ALLOWED_COMMANDS: {problem}. Install it, or take {name} out.") from problem
    return found


def resolve_shell() -> Program:
    """Returns the shell that runs commands. Raises ToolConfigError."""
    try:
        return elf.resolve_program(SHELL_PATH)
    except NotAProgram as problem:
        raise ToolConfigError(
            f"ALLOWED_COMMANDS: commands are run by {SHELL_PATH}; {problem}. Install bash."
        ) from problem


def find_search_program() -> str:
    """Returns the path of ripgrep; empty if it is not installed."""
    return shutil.which("rg", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}") or ""


def _find_write_risk(real: str) -> str:
    """Returns why commands must not write to a folder; empty if they may. real: its path, without links."""
    code_folders = _list_code_folders()
    for name, place in (_list_protected_folders() | code_folders).items():
        protected = os.path.realpath(place)
        covers = _is_below(protected, real)
        if covers or (name in code_folders and _is_below(real, protected)):
            relation = "covers" if covers else "is in"
            return f"{relation} {name} ({protected}): what a command writes there would run outside of its sandbox"
    return ""


def _is_below(path: str, folder: str) -> bool:
    """Whether the path is this folder, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _list_homes(environ: Mapping[str, str]) -> set[str]:
    """Returns the home folders of the user who starts the server; they may not exist."""
    found = {environ.get("HOME", "")}
    # A user id may have no account.
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwuid(os.getuid()).pw_dir)
    return found - {"", "/"}


def _list_protected_folders() -> dict[str, str]:
    """Returns the folders that must not be writable, and neither may any folder above them."""
    checkout = {"the server's code": str(CHECKOUT), "where the server was started": str(Path.cwd())}
    homes = {f"the home folder {home}": home for home in _list_homes(os.environ) if Path(home).is_dir()}
    return checkout | homes


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
        for home in _list_homes(os.environ)
        if os.access(home, os.R_OK)
        for place in Path(home).glob(".*")
        if place.is_dir()
    }
    if cli := os.environ.get("CLAUDE_CLI_PATH"):
        found["the folder of CLAUDE_CLI_PATH"] = os.path.dirname(os.path.realpath(cli))  # noqa: PTH120
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found |= {f"{folder} of PATH": folder for folder in folders if folder[:1] == "/"}
    return {name: place for name, place in found.items() if os.path.realpath(place) != "/"}
