"""Mounts tables over system files that every process of a job can read: of mounts, and of accounts.

/proc/self/mountinfo is a different file for each process, so a Landlock rule opens it to one process only, and a rule for
/proc would open too much. Programs that can't read it read /etc/mtab next, which is usually a link. A table that is written
once is mounted over that link, in the mount namespace of this process. Free space comes from each file system itself.

The tables of users and groups are covered in the same way, by tables that show only the tools' own user and groups: all
programs of a command may read the same files.
"""

import contextlib
import grp
import os
import pwd
from collections.abc import Iterable, Mapping

from executor.sandbox import remount
from executor.sandbox.libc import LIBC, check_call
from executor.sandbox.remount import AT_FDCWD, COPY, FROM_DESCRIPTOR, MOVE_MOUNT, OPEN_TREE

MOUNT_TABLE = "/etc/mtab"
PASSWD_FILE, GROUP_FILE, NSSWITCH_FILE = ACCOUNT_FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
# A folder that is covered briefly.
TEMPORARY_MOUNT_POINT = b"/tmp"
FSOPEN, FSCONFIG, FSMOUNT, CREATE, DETACH = 430, 431, 432, 6, 2
TABLE_NAME = "table"


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
    remount.set_mount_attributes(copy, b"", remount.READ_ONLY | remount.NO_SUID | remount.NO_DEVICES | remount.NO_EXEC)
    # Over the link itself, not over its target.
    check_call(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, path.encode(), FROM_DESCRIPTOR))
    os.close(copy)
