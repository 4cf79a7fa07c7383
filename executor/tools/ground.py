"""What the owner allows, as values: resolved and opened at start, never again.

Law: a path or command that is not there, or that uncovers the server's own secrets, is said at start with its mend.
"""

import contextlib
import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from executor.sandbox import needs
from executor.sandbox.confine import Limits
from executor.sandbox.needs import NotAProgram, Program

BUILT_IN = ("echo", "pwd")
SHELL = "/bin/bash"


class CannotAllow(Exception):
    """A setting can't be used; the message names it and the mend."""


class Root(Struct, frozen=True):
    """An allowed folder. path: the real one; spelled: as the setting has it; descriptor: held since the start."""

    path: str
    spelled: str
    writable: bool = False
    descriptor: int = -1


class Ground(Struct, frozen=True):
    """All of it. commands: by name; None is built into the shell. Sizes in bytes, times in seconds."""

    roots: tuple[Root, ...]
    commands: dict[str, Program | None]
    shell: Program
    search: int = -1
    limits: Limits = Limits()
    timeout: float = 120
    output: int = 1 << 20
    read: int = 16 << 20
    disk: int = 1 << 30

    @property
    def readable(self) -> str:
        """The allowed paths, for a sentence."""
        return ", ".join(root.path for root in self.roots) or "none"

    @property
    def writable(self) -> str:
        """The writable paths, for a sentence."""
        return ", ".join(root.path for root in self.roots if root.writable) or "none"

    @property
    def listed(self) -> str:
        """The allowed commands, for a sentence."""
        return ", ".join(sorted(self.commands)) or "none"


def several(text: str | None) -> tuple[str, ...]:
    """What stands in a setting, separated by commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def roots(allowed: Iterable[str], writable: Iterable[str], secrets: Mapping[str, str]) -> tuple[Root, ...]:
    """The folders, resolved. secrets: the server's own places, by what they are. Raises CannotAllow."""
    found: dict[str, Root] = {}
    for setting, paths in (("ALLOWED_PATHS", allowed), ("WRITABLE_PATHS", writable)):
        for path in paths:
            spelled = os.path.normpath(Path.cwd() / Path(path).expanduser())
            real = os.path.realpath(spelled)
            if not Path(real).is_dir():
                raise CannotAllow(f"{setting}: {spelled} is not a folder. Make it, or take it out of {setting}.")
            for name, secret in secrets.items():
                kept = os.path.realpath(secret)
                if _below(kept, real) or _below(real, kept):
                    raise CannotAllow(
                        f"{setting}: {spelled} covers the server's own {name} ({kept}). Allow a folder without it."
                    )
            found[real] = Root(real, spelled, writable=setting == "WRITABLE_PATHS")
    return tuple(found.values())


def secrets(environ: Mapping[str, str], run_dir: Path) -> dict[str, str]:
    """Where this server keeps what no tool may see."""
    places = {"RUN_DIR": str(run_dir), ".env": str(Path.cwd() / ".env")}
    homes = {environ.get("HOME", "")}
    # A user may have a number only.
    with contextlib.suppress(KeyError):
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    homes -= {"", "/"}
    places |= {f"Claude config folder in {home}": f"{home}/.claude" for home in homes}
    places |= {f"Claude login in {home}": f"{home}/.claude.json" for home in homes}
    for name, usual in (("DATA_DIR", ".data"), ("CLAUDE_CONFIG_DIR", "")):
        if place := environ.get(name, usual):
            places[name] = place
    return {name: place for name, place in places.items() if _is_there(place)}


def _is_there(place: str) -> bool:
    # What this user can't even look at may be there, and is guarded as if it were.
    try:
        return Path(place).exists()
    except PermissionError:
        return True


def commands(names: Iterable[str]) -> dict[str, Program | None]:
    """The programs by name. Raises CannotAllow."""
    found: dict[str, Program | None] = {}
    for name in names:
        path = shutil.which(name)
        try:
            if path is None and name not in BUILT_IN:
                raise NotAProgram(f"there is no program {name} in PATH")
            found[Path(name).name] = needs.program(path) if path else None
        except NotAProgram as problem:
            raise CannotAllow(f"ALLOWED_COMMANDS: {problem}. Install it, or take {name} out.") from problem
    return found


def shell() -> Program:
    """The shell that runs commands. Raises CannotAllow."""
    try:
        return needs.program(SHELL)
    except NotAProgram as problem:
        raise CannotAllow(f"ALLOWED_COMMANDS: commands are run by {SHELL}; {problem}. Install bash.") from problem


def opened(ground: Ground) -> Ground:
    """With what has to be held while this may still reach it: the folders, and the program that searches."""
    search = shutil.which("rg", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    held = tuple(
        Root(root.path, root.spelled, root.writable, os.open(root.path, os.O_PATH | os.O_DIRECTORY))
        for root in ground.roots
    )
    return Ground(
        held,
        ground.commands,
        ground.shell,
        os.open(search, os.O_PATH) if search else -1,
        ground.limits,
        ground.timeout,
        ground.output,
        ground.read,
        ground.disk,
    )


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
