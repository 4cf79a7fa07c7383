"""Writes and edits files.

Law: a file is whole before and after, never in between: what is new comes under another name and takes its place.
"""

import contextlib
import os
import stat

from executor.tools.config import Ground, Root
from executor.tools.files.open_beneath import opened, refused, regular
from executor.tools.refusal import Refused
from shared.errors import ErrorKind
from shared.tool_jobs import EditFile, FileWritten, WriteFile

NEW_FILE, NEW_FOLDER = 0o644, 0o755
FOLDER = os.O_RDONLY | os.O_DIRECTORY


def write(ground: Ground, root: Root, path: str, job: WriteFile) -> FileWritten:
    """Write a whole file, with the folders it needs. Raises Refused."""
    data = job.content.encode(errors="surrogatepass")
    return _replaced(ground, root, path, data, 0)


def edit(ground: Ground, root: Root, path: str, job: EditFile) -> FileWritten:
    """Replace text. Raises Refused."""
    descriptor, state = regular(ground, root, path)
    shown = os.path.normpath(f"{root.path}/{path}")
    with os.fdopen(descriptor, "rb") as file:
        if state.st_size > ground.read:
            raise Refused(ErrorKind.TOO_LARGE, f"{shown} has {state.st_size} bytes; {ground.read} can be edited")
        data = file.read(ground.read)
    old, new = job.old.encode(errors="surrogatepass"), job.new.encode(errors="surrogatepass")
    count = data.count(old)
    if count == 0:
        raise Refused(ErrorKind.BAD_JOB, f"the text to replace is not in {shown}; it must match to the letter")
    if count > 1 and not job.everywhere:
        raise Refused(
            ErrorKind.BAD_JOB,
            f"the text to replace is in {shown} {count} times; give more of it, or replace it everywhere",
        )
    return _replaced(ground, root, path, data.replace(old, new), count)


def _replaced(ground: Ground, root: Root, path: str, data: bytes, replaced: int) -> FileWritten:
    above, _, name = path.rpartition("/")
    shown = os.path.normpath(f"{root.path}/{path}")
    if name in {"", "."}:
        raise Refused(ErrorKind.BAD_JOB, f"{shown} is a folder")
    folder = _folder(ground, root, above)
    new = f".{name[:100]}.{os.getpid()}.new"
    try:
        mode = _mode(root, folder, name, shown)
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, NEW_FILE, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode) & 0o777)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(new, dir_fd=folder)
            raise refused(ground, shown, error.errno or 0) from error
    finally:
        os.close(folder)
    return FileWritten(shown, len(data), created=mode is None, replaced=replaced)


def _mode(root: Root, folder: int, name: str, shown: str) -> int | None:
    """The mode of what is there; None if nothing is. Raises Refused."""
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(state.st_mode):
        raise Refused(ErrorKind.BAD_JOB, f"{shown} is a folder")
    if not stat.S_ISREG(state.st_mode) or (root.writable and state.st_nlink > 1):
        raise Refused(ErrorKind.NOT_ALLOWED, f"{shown} is not a regular file of one name, so it is not written")
    return state.st_mode


def _folder(ground: Ground, root: Root, path: str) -> int:
    """The folder that the file is in, made if need be. Raises Refused."""
    at = ""
    descriptor = opened(ground, root, ".", FOLDER)
    for part in filter(None, path.split("/")):
        at = f"{at}/{part}".lstrip("/")
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, NEW_FOLDER, dir_fd=descriptor)
        except OSError as error:
            # Where nothing may be made, something may be there.
            if error.errno not in {13, 30}:
                raise refused(ground, f"{root.path}/{at}", error.errno or 0) from error
        finally:
            os.close(descriptor)
        descriptor = opened(ground, root, at, FOLDER)
    return descriptor
