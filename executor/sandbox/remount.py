"""What mounts hold: files of allowed folders can't become code, and what may not be written can't be changed at all.

Landlock does not govern mapping a file as code, so that a library laid into a readable folder could be loaded by a
program that is allowed: allowed folders are mounted without exec. Nor does it govern modes, owners, times and attributes,
which a program could change of any file of its user's: everything but the writable folders is mounted to be read only.
Both in a mount namespace of this process. Where neither root nor user namespaces are to be had it can't be made, and
`lay` says so.
"""

import ctypes
import os
import re
import struct
from collections.abc import Mapping

from executor.sandbox import namespaces
from executor.sandbox.libc import LIBC, check_call

RECURSIVE, SLAVE = 16384, 1 << 19
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE, COPY, FROM_DESCRIPTOR = -100, 0x1000, 0x8000, 1, 4
LIBRARIES_LOADABLE = "libraries that lie in an allowed path could be loaded by an allowed command, unless the path is mounted noexec, and "
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8


def remount_folders(folders: Mapping[str, bool]) -> str:
    """Mount them so, for this process and what it starts; what is wrong, or nothing. Only one thread may run.

    folders: by path, whether it is one to write. Those that are mounted without exec already lack that no more.
    """
    uid, gid = os.getuid(), os.getgid()
    try:
        if uid == 0:
            os.unshare(os.CLONE_NEWNS)
        else:
            proc = namespaces.open_proc()
            os.unshare(os.CLONE_NEWNS | os.CLONE_NEWUSER)
            namespaces.map_own_user(proc, uid, gid)
            os.close(proc)
        check_call(LIBC.mount(None, b"/", None, ctypes.c_ulong(SLAVE | RECURSIVE), None))
        # Copies, which keep what is to be written as it was mounted; laid over their places, the outer ones first.
        copies = [(_clone_mount(folder, folders[folder]), os.fsencode(folder)) for folder in sorted(folders)]
        set_mount_attributes(AT_FDCWD, b"/", READ_ONLY)
        for copy, place in copies:
            check_call(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, place, FROM_DESCRIPTOR))
            os.close(copy)
    except OSError as error:
        return (
            f"{LIBRARIES_LOADABLE if any(not is_noexec(folder) for folder in folders) else ''}an allowed command could change the modes and "
            f"times of files of its user's: mounts can't be made ({error.strerror}). Start as root with TOOLS_USER, or "
            "allow user namespaces"
        )
    return ""


def is_noexec(folder: str) -> bool:
    """Whether the owner, a unit or a container has mounted it without exec, and all below it (proc(5), mountinfo)."""
    try:
        if not os.statvfs(folder).f_flag & os.ST_NOEXEC:
            return False
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            mounts = [line.split(" ")[4:6] for line in file]
    except OSError:
        return False
    below = f"{folder.rstrip('/')}/"
    return all(
        "noexec" in options.split(",")
        for place, options in mounts
        if re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place).startswith(below)
    )


def _clone_mount(folder: str, writable: bool) -> int:  # noqa: FBT001 # it stands beside its folder
    copy = check_call(LIBC.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(folder), COPY | AT_RECURSIVE | os.O_CLOEXEC))
    set_mount_attributes(copy, b"", NO_SUID | NO_DEVICES | NO_EXEC | (0 if writable else READ_ONLY))
    return copy


def set_mount_attributes(dir_fd: int, place: bytes, attributes: int) -> None:
    """Give what is mounted at a place these attributes; the descriptor itself, if the place is empty. Raises OSError."""
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = AT_RECURSIVE | (0 if place else AT_EMPTY_PATH)
    check_call(LIBC.syscall(MOUNT_SETATTR, dir_fd, place, flags, wanted, ctypes.c_size_t(len(wanted))))
