"""What the owner allows, as values, and opened where jobs are done.

Law: what is opened is held from the start on, and never opened again by its name.
"""

import os

from msgspec import Struct, structs

from executor.sandbox.confine import Program, ResourceLimits

SHELL_PATH = "/bin/bash"


class Root(Struct, frozen=True):
    """An allowed folder. path: the real one; spelled: as the setting has it; descriptor: held since the start."""

    path: str
    configured: str
    writable: bool = False
    descriptor: int = -1


class ToolConfig(Struct, frozen=True):
    """All of it. commands: by name; None is built into the shell. Sizes in bytes, times in seconds.

    accounts: the tables of users and groups show those of the tools alone.
    """

    roots: tuple[Root, ...]
    commands: dict[str, Program | None]
    shell: Program
    search_descriptor: int = -1
    limits: ResourceLimits = ResourceLimits()
    timeout: float = 120
    output_limit: int = 1 << 20
    read_limit: int = 16 << 20
    disk_limit: int = 1 << 30
    new_files: int = 10_000
    accounts: bool = False

    @property
    def readable_paths(self) -> str:
        """The allowed paths, for a sentence."""
        return ", ".join(root.path for root in self.roots) or "none"

    @property
    def writable_paths(self) -> str:
        """The writable paths, for a sentence."""
        return ", ".join(root.path for root in self.roots if root.writable) or "none"

    @property
    def command_names(self) -> str:
        """The allowed commands, for a sentence."""
        return ", ".join(sorted(self.commands)) or "none"


def open_config(config: ToolConfig, search: str) -> ToolConfig:
    """With what has to be held while this may still reach it: the folders, and the program that searches, if there is one."""
    held = tuple(
        structs.replace(root, descriptor=os.open(root.path, os.O_PATH | os.O_DIRECTORY)) for root in config.roots
    )
    return structs.replace(config, roots=held, search_descriptor=os.open(search, os.O_PATH) if search else -1)
