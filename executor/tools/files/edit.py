"""Writes and edits files.

Invariants: a file is replaced atomically: the new content is written under another name, which is then renamed.
"""

import contextlib
import errno
import os
import stat

from executor.tools.config import Root, ToolConfig
from executor.tools.files.open_beneath import open_path, open_regular_file, to_refusal
from executor.tools.task import JobRefused
from shared.errors import ErrorKind
from shared.tool_jobs import EditFile, WriteFile, WriteResult

NEW_FILE_MODE, NEW_FOLDER_MODE = 0o644, 0o755
OPEN_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY


def write_file(config: ToolConfig, root: Root, path: str, job: WriteFile) -> WriteResult:
    """Writes or replaces a file, and creates the folders it needs. Raises JobRefused."""
    data = job.content.encode(errors="surrogatepass")
    return _replace_file(config, root, path, data, 0)


def edit_file(config: ToolConfig, root: Root, path: str, job: EditFile) -> WriteResult:
    """Replaces text in a file. Raises JobRefused."""
    descriptor, state = open_regular_file(config, root, path)
    shown = os.path.normpath(f"{root.path}/{path}")
    with os.fdopen(descriptor, "rb") as file:
        if state.st_size > config.read_limit:
            raise JobRefused(
                ErrorKind.TOO_LARGE, f"{shown} has {state.st_size} bytes; {config.read_limit} can be edited"
            )
        data = file.read(config.read_limit)
    old, new = job.old.encode(errors="surrogatepass"), job.new.encode(errors="surrogatepass")
    count = data.count(old)
    if count == 0:
        raise JobRefused(ErrorKind.BAD_JOB, f"the text to replace is not in {shown}; it must match exactly")
    if count > 1 and not job.replace_all:
        raise JobRefused(
            ErrorKind.BAD_JOB,
            f"the text to replace is in {shown} {count} times; give more of it, or replace it everywhere",
        )
    return _replace_file(config, root, path, data.replace(old, new), count)


def _replace_file(config: ToolConfig, root: Root, path: str, data: bytes, replacements: int) -> WriteResult:
    parent, _, name = path.rpartition("/")
    shown = os.path.normpath(f"{root.path}/{path}")
    if name in {"", "."}:
        raise JobRefused(ErrorKind.BAD_JOB, f"{shown} is a folder")
    folder = _open_parent(config, root, parent)
    new = f".{name[:100]}.{os.getpid()}.new"
    try:
        mode = _read_mode(root, folder, name, shown)
        try:
            descriptor = os.open(
                new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, NEW_FILE_MODE, dir_fd=folder
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode) & 0o777)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(new, dir_fd=folder)
            raise to_refusal(config, shown, error.errno or 0) from error
    finally:
        os.close(folder)
    return WriteResult(shown, len(data), created=mode is None, replaced=replacements)


def _read_mode(root: Root, folder: int, name: str, shown: str) -> int | None:
    """Returns the mode of the existing file; None if there is none. Raises JobRefused."""
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(state.st_mode):
        raise JobRefused(ErrorKind.BAD_JOB, f"{shown} is a folder")
    if not stat.S_ISREG(state.st_mode) or (root.writable and state.st_nlink > 1):
        raise JobRefused(ErrorKind.NOT_ALLOWED, f"{shown} is not a regular file with one name, so it can't be written")
    return state.st_mode


def _open_parent(config: ToolConfig, root: Root, path: str) -> int:
    """Opens the folder of a file, and creates missing folders. Raises JobRefused."""
    current = ""
    descriptor = open_path(config, root, ".", OPEN_FOLDER_FLAGS)
    for part in filter(None, path.split("/")):
        current = f"{current}/{part}".lstrip("/")
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, NEW_FOLDER_MODE, dir_fd=descriptor)
        except OSError as error:
            # The folder may exist where none may be created.
            if error.errno not in {errno.EACCES, errno.EROFS}:
                raise to_refusal(config, f"{root.path}/{current}", error.errno or 0) from error
        finally:
            os.close(descriptor)
        descriptor = open_path(config, root, current, OPEN_FOLDER_FLAGS)
    return descriptor
