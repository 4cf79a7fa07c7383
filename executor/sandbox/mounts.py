"""Mounts for the tools. Files of allowed folders can't be executed, and files outside of writable folders can't be changed at all.

Landlock does not control mapping a file as code, so an allowed program could load a library from a readable folder:
therefore allowed folders are mounted noexec. Landlock does not control modes, owners, times and attributes either, so a
program could change those of all files of its user: therefore everything except the writable folders is mounted read only.
Both happen in a mount namespace of this process. Without root and without user namespaces they are not possible, and
`remount_folders` reports that.

Tables are mounted over system files that every process of a job can read: of mounts, and of accounts.
/proc/self/mountinfo is a different file for each process, so a Landlock rule opens it to one process only, and a rule for
/proc would open too much. Programs that can't read it read /etc/mtab next, which is usually a link. A table that is written
once is mounted over that link, in the mount namespace of this process. Free space comes from each file system itself.

The tables of users and groups are covered in the same way, by tables that show only the tools' own user and groups: all
programs of a command may read the same files.
"""

import contextlib
import ctypes
import grp
import os
import pwd
import re
import struct
from collections.abc import Iterable, Mapping

from executor.sandbox import namespaces
from executor.sandbox.libc import LIBC, check_call

RECURSIVE, SLAVE = 16384, 1 << 19
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE, COPY, FROM_DESCRIPTOR = -100, 0x1000, 0x8000, 1, 4
LIBRARIES_LOADABLE = (
    "an allowed command could load libraries from an allowed path, unless the path is mounted noexec, and "
)
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8

MOUNT_TABLE = "/etc/mtab"
PASSWD_FILE, GROUP_FILE, NSSWITCH_FILE = ACCOUNT_FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
# A folder that is covered briefly.
TEMPORARY_MOUNT_POINT = b"/tmp"
FSOPEN, FSCONFIG, FSMOUNT, CREATE, DETACH = 430, 431, 432, 6, 2
TABLE_NAME = "table"


def remount_folders(folders: Mapping[str, bool]) -> str:
    """Remounts everything, for this process and those that it starts. Only one thread may run.

    Returns what a command could do without the remounts, and the fix; empty on success. Libraries are mentioned only if
    some folder is not mounted noexec already. folders: by path, whether the folder is writable.
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
        # Copies of the folders stay writable; they are mounted over the originals, outer folders first.
        copies = [(_clone_mount(folder, folders[folder]), os.fsencode(folder)) for folder in sorted(folders)]
        set_mount_attributes(AT_FDCWD, b"/", READ_ONLY)
        for copy, place in copies:
            check_call(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, place, FROM_DESCRIPTOR))
            os.close(copy)
    except OSError as error:
        return (
            f"{LIBRARIES_LOADABLE if any(not is_noexec(folder) for folder in folders) else ''}an allowed command could "
            f"change the modes and times of its user's files: mounts can't be made ({error.strerror}). Start as root with "
            "TOOLS_USER, or allow user namespaces"
        )
    return ""


def is_noexec(folder: str) -> bool:
    """Whether a folder, and every mount below it, is mounted noexec already (proc(5), mountinfo)."""
    try:
        if not os.statvfs(folder).f_flag & os.ST_NOEXEC:
            return False
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            mounts = [line.split(" ")[4:6] for line in file]
    except OSError:
        return False
    prefix = f"{folder.rstrip('/')}/"
    return all(
        "noexec" in options.split(",")
        for place, options in mounts
        if re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place).startswith(prefix)
    )


def _clone_mount(folder: str, writable: bool) -> int:  # noqa: FBT001 # clear next to its folder
    copy = check_call(LIBC.syscall(OPEN_TREE, AT_FDCWD, os.fsencode(folder), COPY | AT_RECURSIVE | os.O_CLOEXEC))
    set_mount_attributes(copy, b"", NO_SUID | NO_DEVICES | NO_EXEC | (0 if writable else READ_ONLY))
    return copy


def set_mount_attributes(dir_fd: int, place: bytes, attributes: int) -> None:
    """Sets attributes of the mount at a path, or of the descriptor itself if the path is empty. Raises OSError."""
    arguments = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = AT_RECURSIVE | (0 if place else AT_EMPTY_PATH)
    check_call(LIBC.syscall(MOUNT_SETATTR, dir_fd, place, flags, arguments, ctypes.c_size_t(len(arguments))))


def find_mount_table() -> str:
    """Returns the file with the mounts. Where no table could be mounted, only a program that runs alone can read it."""
    return "/proc/self/mountinfo" if os.path.islink(MOUNT_TABLE) else MOUNT_TABLE  # noqa: PTH114


def mount_tables(account_tables: Mapping[str, str]) -> bool:
    """Mounts the tables, if possible. Returns whether the accounts are covered. Needs a private mount namespace.

    account_tables: the contents by path.
    """
    with contextlib.suppress(OSError), open("/proc/self/mounts", "rb") as file:  # noqa: PTH123
        _mount_file(MOUNT_TABLE, file.read())
    try:
        for path, content in account_tables.items():
            if os.path.exists(path):  # noqa: PTH110
                _mount_file(path, content.encode())
    except OSError:
        return False
    return True


def build_account_tables(uid: int, gid: int, groups: Iterable[int]) -> dict[str, str]:
    """Builds tables that show only this user and these groups."""
    tables: dict[str, str] = dict.fromkeys(ACCOUNT_FILES, "")
    tables[NSSWITCH_FILE] = "passwd: files\ngroup: files\n"
    with contextlib.suppress(KeyError):
        tables[PASSWD_FILE] = f"{pwd.getpwuid(uid).pw_name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n"
    for group in sorted({gid, *groups}):
        with contextlib.suppress(KeyError):
            tables[GROUP_FILE] += f"{grp.getgrgid(group).gr_name}:x:{group}:\n"
    return tables


def _mount_file(path: str, content: bytes) -> None:
    """Mounts a file with this content over a path. Raises OSError."""
    context = check_call(LIBC.syscall(FSOPEN, b"tmpfs", 1))
    check_call(LIBC.syscall(FSCONFIG, context, CREATE, None, None, 0))
    file_system = check_call(LIBC.syscall(FSMOUNT, context, 1, 0))
    os.close(context)
    table = os.open(TABLE_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444, dir_fd=file_system)
    os.write(table, content)
    os.close(table)
    # Some kernels can't mount a file of a file system that is not mounted itself.
    check_call(LIBC.syscall(MOVE_MOUNT, file_system, b"", AT_FDCWD, TEMPORARY_MOUNT_POINT, FROM_DESCRIPTOR))
    copy = check_call(LIBC.syscall(OPEN_TREE, file_system, TABLE_NAME.encode(), COPY | os.O_CLOEXEC))
    check_call(LIBC.umount2(TEMPORARY_MOUNT_POINT, DETACH))
    os.close(file_system)
    set_mount_attributes(copy, b"", READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC)
    # Over the link itself, not over its target.
    check_call(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, path.encode(), FROM_DESCRIPTOR))
    os.close(copy)
