"""The configuration of the tools: what the owner allows. `open_config` adds the descriptors that jobs need.

Invariants: a folder is opened once, at the start, and never again by its name.
"""

import os

from msgspec import Struct, structs

from executor.sandbox.confine import Program, ResourceLimits

SHELL_PATH = "/bin/bash"


class Root(Struct, frozen=True):
    """An allowed folder. path: without symbolic links; configured: as in the setting; descriptor: open since the start."""

    path: str
    configured: str
    writable: bool = False
    descriptor: int = -1


class ToolConfig(Struct, frozen=True):
    """commands: by name; None for a command that is built into the shell. Sizes in bytes, times in seconds.

    accounts: the tables of users and groups show only the tools' own user and groups.
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

    def list_root_paths(self, *, writable: bool | None = None) -> tuple[str, ...]:
        """Returns the allowed folders by their descriptors: this user may not reach them by their names."""
        roots = (root for root in self.roots if writable is None or root.writable == writable)
        return tuple(f"/proc/self/fd/{root.descriptor}" for root in roots)

    @property
    def readable_paths(self) -> str:
        """The allowed paths, for a message."""
        return ", ".join(root.path for root in self.roots) or "none"

    @property
    def writable_paths(self) -> str:
        """The writable paths, for a message."""
        return ", ".join(root.path for root in self.roots if root.writable) or "none"

    @property
    def command_names(self) -> str:
        """The allowed commands, for a message."""
        return ", ".join(sorted(self.commands)) or "none"


def open_config(config: ToolConfig, search: str) -> ToolConfig:
    """Opens the folders and the search program, if there is one, while this process may still reach them. Raises OSError."""
    roots = tuple(
        structs.replace(root, descriptor=os.open(root.path, os.O_PATH | os.O_DIRECTORY)) for root in config.roots
    )
    return structs.replace(config, roots=roots, search_descriptor=os.open(search, os.O_PATH) if search else -1)
