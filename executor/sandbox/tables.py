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
from executor.sandbox.remount import AT_FDCWD, COPY, FROM_DESCRIPTOR, LIBC, MOVE_MOUNT, OPEN_TREE

TABLE = "/etc/mtab"
USERS, GROUPS, SWITCH = ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
# A folder that is covered for a moment.
ASIDE = b"/tmp"
FSOPEN, FSCONFIG, FSMOUNT, CREATE, DETACH = 430, 431, 432, 6, 2
NAME = "table"


def table() -> str:
    """What a program may read to know the mounts: where no table could be laid, only one that runs alone can."""
    return "/proc/self/mountinfo" if os.path.islink(TABLE) else TABLE  # noqa: PTH114


def lay(who: Mapping[str, str]) -> bool:
    """Lay them, in a mount namespace of this process's own, if that can be done; whether the accounts were laid.

    who: what stands in the tables of accounts, by path.
    """
    with contextlib.suppress(OSError), open("/proc/self/mounts", "rb") as file:  # noqa: PTH123 # no more than it must
        _lay(TABLE, file.read())
    try:
        for place, told in who.items():
            if os.path.exists(place):  # noqa: PTH110
                _lay(place, told.encode())
    except OSError:
        return False
    return True


def accounts(uid: int, gid: int, groups: Iterable[int]) -> dict[str, str]:
    """Tables that show this user and these groups alone."""
    told: dict[str, str] = dict.fromkeys(ACCOUNTS, "")
    told[SWITCH] = "passwd: files\ngroup: files\n"
    with contextlib.suppress(KeyError):
        told[USERS] = f"{pwd.getpwuid(uid).pw_name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin\n"
    for each in sorted({gid, *groups}):
        with contextlib.suppress(KeyError):
            told[GROUPS] += f"{grp.getgrgid(each).gr_name}:x:{each}:\n"
    return told


def _lay(place: str, told: bytes) -> None:
    """Lay a file of this content over what is there. Raises OSError."""
    made = remount.called(LIBC.syscall(FSOPEN, b"tmpfs", 1))
    remount.called(LIBC.syscall(FSCONFIG, made, CREATE, None, None, 0))
    memory = remount.called(LIBC.syscall(FSMOUNT, made, 1, 0))
    os.close(made)
    table = os.open(NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444, dir_fd=memory)
    os.write(table, told)
    os.close(table)
    # A file of what is mounted nowhere can't be mounted itself by every kernel.
    remount.called(LIBC.syscall(MOVE_MOUNT, memory, b"", AT_FDCWD, ASIDE, FROM_DESCRIPTOR))
    copy = remount.called(LIBC.syscall(OPEN_TREE, memory, NAME.encode(), COPY | os.O_CLOEXEC))
    remount.called(LIBC.umount2(ASIDE, DETACH))
    os.close(memory)
    remount.seal(copy, b"", remount.READ_ONLY | remount.NO_SUID | remount.NO_DEVICES | remount.NO_EXEC)
    # On the link itself, not on what it leads to.
    remount.called(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, place.encode(), FROM_DESCRIPTOR))
    os.close(copy)
