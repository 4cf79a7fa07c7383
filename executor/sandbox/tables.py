"""Tables that the processes of a job can read, whichever of them asks: of mounts, and of accounts.

/proc/self/mountinfo is another file for each process, so that one rule of Landlock's opens it to one process only, and all
of /proc would be too much. What looks for it there looks into /etc/mtab next: usually a link, over which a table is laid
that was written down once, in the mount namespace of this process. What a file system has free is asked of itself.

The tables of users and groups are covered likewise, by ones that show the tools' own: what one program of a command may
read, all of it may.
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
# A folder that is covered for a moment.
TEMPORARY_MOUNT_POINT = b"/tmp"
FSOPEN, FSCONFIG, FSMOUNT, CREATE, DETACH = 430, 431, 432, 6, 2
TABLE_NAME = "table"


def find_mount_table() -> str:
    """What a program may read to know the mounts: where no table could be laid, only one that runs alone can."""
    return "/proc/self/mountinfo" if os.path.islink(MOUNT_TABLE) else MOUNT_TABLE  # noqa: PTH114


def mount_tables(account_tables: Mapping[str, str]) -> bool:
    """Lay them, in a mount namespace of this process's own, if that can be done; whether the accounts were laid.

    who: what stands in the tables of accounts, by path.
    """
    with contextlib.suppress(OSError), open("/proc/self/mounts", "rb") as file:  # noqa: PTH123 # no more than it must
        _mount_file(MOUNT_TABLE, file.read())
    try:
        for place, told in account_tables.items():
            if os.path.exists(place):  # noqa: PTH110
                _mount_file(place, told.encode())
    except OSError:
        return False
    return True


def build_account_tables(uid: int, gid: int, groups: Iterable[int]) -> dict[str, str]:
    """Tables that show this user and these groups alone."""
    told: dict[str, str] = dict.fromkeys(ACCOUNT_FILES, "")
    told[NSSWITCH_FILE] = "passwd: files\ngroup: files\n"
    with contextlib.suppress(KeyError):
        told[PASSWD_FILE] = f"{pwd.getpwuid(uid).pw_name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n"
    for each in sorted({gid, *groups}):
        with contextlib.suppress(KeyError):
            told[GROUP_FILE] += f"{grp.getgrgid(each).gr_name}:x:{each}:\n"
    return told


def _mount_file(place: str, content: bytes) -> None:
    """Lay a file of this content over what is there. Raises OSError."""
    made = check_call(LIBC.syscall(FSOPEN, b"tmpfs", 1))
    check_call(LIBC.syscall(FSCONFIG, made, CREATE, None, None, 0))
    memory = check_call(LIBC.syscall(FSMOUNT, made, 1, 0))
    os.close(made)
    table = os.open(TABLE_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444, dir_fd=memory)
    os.write(table, content)
    os.close(table)
    # A file of what is mounted nowhere can't be mounted itself by every kernel.
    check_call(LIBC.syscall(MOVE_MOUNT, memory, b"", AT_FDCWD, TEMPORARY_MOUNT_POINT, FROM_DESCRIPTOR))
    copy = check_call(LIBC.syscall(OPEN_TREE, memory, TABLE_NAME.encode(), COPY | os.O_CLOEXEC))
    check_call(LIBC.umount2(TEMPORARY_MOUNT_POINT, DETACH))
    os.close(memory)
    remount.set_mount_attributes(copy, b"", remount.READ_ONLY | remount.NO_SUID | remount.NO_DEVICES | remount.NO_EXEC)
    # On the link itself, not on what it leads to.
    check_call(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, place.encode(), FROM_DESCRIPTOR))
    os.close(copy)
