"""Resolves the settings of what the owner allows, once at the start.

Invariants: a path or command that does not exist, or that exposes the server's own secrets, is reported at the start with
the fix.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from executor.sandbox import elf
from executor.sandbox.confine import Program
from executor.sandbox.elf import NotAProgram
from executor.tools import code_folders
from executor.tools.code_folders import is_below
from executor.tools.config import SHELL_PATH, Root

SHELL_BUILTINS = ("echo", "pwd")


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
                if is_below(real_secret, real) or is_below(real, real_secret):
                    raise ToolConfigError(
                        f"{setting}: {configured} covers the server's own {name} ({real_secret}). "
                        "Allow a folder without it."
                    )
            if setting == "WRITABLE_PATHS":
                unsafe = code_folders.find_write_risk(real)
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
    homes = code_folders.list_homes(environ)
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
