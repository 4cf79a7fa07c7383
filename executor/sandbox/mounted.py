"""A table of mounts that the processes of a job can read, whichever of them asks.

/proc/self/mountinfo is another file for each process, so that one rule of Landlock's opens it to one process only, and all
of /proc would be too much. What looks for it there looks into /etc/mtab next: usually a link, over which a table is laid
that was written down once, in the mount namespace of this process. What a file system has free is asked of itself.
"""

import contextlib
import os

from executor.sandbox import noexec
from executor.sandbox.noexec import AT_FDCWD, COPY, FROM_DESCRIPTOR, LIBC, MOVE_MOUNT, OPEN_TREE

TABLE = "/etc/mtab"
# A folder that is covered for a moment.
ASIDE = b"/tmp"
FSOPEN, FSCONFIG, FSMOUNT, CREATE, DETACH = 430, 431, 432, 6, 2
NAME = "mtab"


def table() -> str:
    """What a program may read to know the mounts: where no table could be laid, only one that runs alone can."""
    return "/proc/self/mountinfo" if os.path.islink(TABLE) else TABLE  # noqa: PTH114


def lay() -> None:
    """Lay it, in a mount namespace of this process's own, if that can be done."""
    with contextlib.suppress(OSError):
        with open("/proc/self/mounts", "rb") as file:  # noqa: PTH123 # this module knows no more than it must
            told = file.read()
        made = noexec.called(LIBC.syscall(FSOPEN, b"tmpfs", 1))
        noexec.called(LIBC.syscall(FSCONFIG, made, CREATE, None, None, 0))
        memory = noexec.called(LIBC.syscall(FSMOUNT, made, 1, 0))
        os.close(made)
        table = os.open(NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444, dir_fd=memory)
        os.write(table, told)
        os.close(table)
        # A file of what is mounted nowhere can't be mounted itself by every kernel.
        noexec.called(LIBC.syscall(MOVE_MOUNT, memory, b"", AT_FDCWD, ASIDE, FROM_DESCRIPTOR))
        copy = noexec.called(LIBC.syscall(OPEN_TREE, memory, NAME.encode(), COPY | os.O_CLOEXEC))
        noexec.called(LIBC.umount2(ASIDE, DETACH))
        os.close(memory)
        noexec.seal(copy, b"", noexec.READ_ONLY | noexec.NO_SUID | noexec.NO_DEVICES | noexec.NO_EXEC)
        # On the link itself, not on what it leads to.
        noexec.called(LIBC.syscall(MOVE_MOUNT, copy, b"", AT_FDCWD, TABLE.encode(), FROM_DESCRIPTOR))
        os.close(copy)
