"""Lists a folder."""

import os
import stat

from executor.tools.config import Ground, Root
from executor.tools.files.open_beneath import opened
from shared.tool_jobs import Entry, FolderListed

MOST = 2000


def listing(ground: Ground, root: Root, path: str) -> FolderListed:
    """What is in it, by name. Raises Refused."""
    folder = opened(ground, root, path, os.O_RDONLY | os.O_DIRECTORY)
    above = os.path.normpath(f"{root.path}/{path}")
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 # of a descriptor
        entries = tuple(_entry(folder, above, name) for name in names[:MOST])
    finally:
        os.close(folder)
    return FolderListed(entries, truncated=len(names) > MOST)


def _entry(folder: int, above: str, name: str) -> Entry:
    # A name that is no UTF-8 is shown as well as can be.
    path = os.fsencode(f"{above}/{name}").decode(errors="replace")
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return Entry(path, "other")
    if stat.S_ISDIR(state.st_mode):
        return Entry(path, "folder")
    return Entry(path, "file", state.st_size) if stat.S_ISREG(state.st_mode) else Entry(path, "other")
