"""Lists a folder."""

import os
import stat

from executor.tools.config import Root, ToolConfig
from executor.tools.files.open_beneath import open_path
from shared.tool_jobs import FolderEntry, FolderListing

MAX_ENTRIES = 2000


def list_folder(config: ToolConfig, root: Root, path: str) -> FolderListing:
    """Returns the entries of a folder, sorted by name. Raises JobRefused."""
    folder = open_path(config, root, path, os.O_RDONLY | os.O_DIRECTORY)
    parent = os.path.normpath(f"{root.path}/{path}")
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 # of a descriptor
        entries = tuple(_build_entry(folder, parent, name) for name in names[:MAX_ENTRIES])
    finally:
        os.close(folder)
    return FolderListing(entries, truncated=len(names) > MAX_ENTRIES)


def _build_entry(folder: int, parent: str, name: str) -> FolderEntry:
    # Bytes of a name that are not UTF-8 are replaced.
    path = os.fsencode(f"{parent}/{name}").decode(errors="replace")
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return FolderEntry(path, "other")
    if stat.S_ISDIR(state.st_mode):
        return FolderEntry(path, "folder")
    return FolderEntry(path, "file", state.st_size) if stat.S_ISREG(state.st_mode) else FolderEntry(path, "other")
