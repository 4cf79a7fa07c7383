"""Opens files below an allowed folder, and nowhere else. (openat2(2))

Invariants: no symbolic link is followed, and no step leaves the folder. Checks look at the open descriptor, not at a path.
"""

import ctypes
import errno
import os
import stat
import struct

from executor.sandbox.libc import LIBC
from executor.tools.config import Root, ToolConfig
from executor.tools.task import JobRefused
from shared.errors import ErrorKind

OPENAT2 = 437
NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 2, 4, 8
SAFE_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
OPEN_ATTEMPTS = 20


def open_path(config: ToolConfig, root: Root, path: str, flags: int, mode: int = 0) -> int:
    """Returns a descriptor of the path. Raises JobRefused."""
    # O_PATH accepts no other flag of these.
    safe_flags = os.O_CLOEXEC if flags & os.O_PATH else SAFE_OPEN_FLAGS
    how = struct.pack("=QQQ", flags | safe_flags, mode, BENEATH | NO_SYMLINKS | NO_MAGICLINKS)
    error = errno.EAGAIN
    for _ in range(OPEN_ATTEMPTS):
        descriptor = LIBC.syscall(OPENAT2, root.descriptor, os.fsencode(path), how, ctypes.c_size_t(len(how)))
        if descriptor >= 0:
            return descriptor
        error = ctypes.get_errno()
        if error not in {errno.EAGAIN, errno.EINTR}:
            break
    raise to_refusal(config, f"{root.path}/{path}", error)


def to_refusal(config: ToolConfig, path: str, error: int) -> JobRefused:
    """Returns the refusal for an error number of the kernel."""
    shown = os.path.normpath(path)
    match error:
        case errno.ENOENT | errno.ENOTDIR:
            return JobRefused(ErrorKind.NOT_FOUND, f"{shown}: there is no such file or folder")
        case errno.ELOOP | errno.EXDEV:
            return JobRefused(
                ErrorKind.NOT_ALLOWED,
                f"{shown}: symbolic links are not followed, as they may lead out. Allowed: {config.readable_paths}",
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return JobRefused(
                ErrorKind.NOT_ALLOWED,
                f"{shown}: the tools' user may not do that here. Allowed: {config.readable_paths}",
            )
        case errno.EISDIR:
            return JobRefused(ErrorKind.BAD_JOB, f"{shown} is a folder")
        case errno.EFBIG | errno.ENOSPC | errno.EDQUOT:
            return JobRefused(ErrorKind.TOO_LARGE, f"{shown}: {os.strerror(error)}")
        case _:
            return JobRefused(ErrorKind.BAD_JOB, f"{shown}: {os.strerror(error)}")


def open_regular_file(config: ToolConfig, root: Root, path: str) -> tuple[int, os.stat_result]:
    """Opens a regular file for reading. Raises JobRefused."""
    # Checked before the file is opened, since opening a device may have an effect.
    path_only = open_path(config, root, path, os.O_PATH)
    try:
        state = os.fstat(path_only)
    finally:
        os.close(path_only)
    _check_regular_file(root, path, state)
    descriptor = open_path(config, root, path, os.O_RDONLY)
    state = os.fstat(descriptor)
    _check_regular_file(root, path, state)
    return descriptor, state


def _check_regular_file(root: Root, path: str, state: os.stat_result) -> None:
    shown = os.path.normpath(f"{root.path}/{path}")
    if stat.S_ISDIR(state.st_mode):
        raise JobRefused(ErrorKind.BAD_JOB, f"{shown} is a folder")
    if not stat.S_ISREG(state.st_mode):
        raise JobRefused(ErrorKind.NOT_ALLOWED, f"{shown} is not a regular file")
    if root.writable and state.st_nlink > 1:
        raise JobRefused(ErrorKind.NOT_ALLOWED, f"{shown} has a second name (a hard link), and may be another file's")
