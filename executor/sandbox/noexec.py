"""Folders whose files can't become code: mounted without exec, in a mount namespace of this process.

Landlock does not govern mapping a file as code, so that a library laid into a readable folder could be loaded by a
program that is allowed. A mount without exec closes that. Where neither root nor user namespaces are to be had it can't
be made, and `lay` says so.
"""

import ctypes
import os
import struct
from collections.abc import Iterable

from executor.sandbox.landlock import LIBC

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
PR_SET_DUMPABLE = 4
BIND, RECURSIVE, SLAVE = 4096, 16384, 1 << 19
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE = 442, -100, 0x8000
NO_SUID, NO_DEVICES, NO_EXEC = 2, 4, 8


def lay(folders: Iterable[str]) -> str:
    """Mount them so, for this process and what it starts; what is wrong, or nothing. Only one thread may run."""
    uid, gid = os.getuid(), os.getgid()
    try:
        if uid == 0:
            _called(LIBC.unshare(NEW_MOUNTS))
        else:
            # Its own maps are only its to write while it may be looked into.
            LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            _called(LIBC.unshare(NEW_MOUNTS | NEW_USER))
            for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 # this module knows no more than it must
                    file.write(line)
        _called(LIBC.mount(None, b"/", None, ctypes.c_ulong(SLAVE | RECURSIVE), None))
        for folder in folders:
            place = os.fsencode(folder)
            _called(LIBC.mount(place, place, None, ctypes.c_ulong(BIND | RECURSIVE), None))
            wanted = struct.pack("=QQQQ", NO_SUID | NO_DEVICES | NO_EXEC, 0, 0, 0)
            _called(LIBC.syscall(MOUNT_SETATTR, AT_FDCWD, place, AT_RECURSIVE, wanted, ctypes.c_size_t(len(wanted))))
    except OSError as error:
        return (
            "libraries that lie in an allowed path could be loaded by an allowed command: it can't be mounted without exec "
            f"({error.strerror}). Start as root with TOOLS_USER, allow user namespaces, or mount it noexec"
        )
    return ""


def _called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
