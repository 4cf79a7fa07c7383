"""Runs the executor as a container's engine does: as an ordinary user, with the calls refused that engines refuse.

usage: python -m tests.support.container_emulation UID MOUNTED --role tools …

The calls are those that the profile of container engines refuses to who has no capability. MOUNTED is `noexec` if the
allowed folders are mounted without exec first, as a volume may be, else `plain`.
"""

import ctypes
import errno
import os
import sys

from executor.sandbox import mounts
from executor.sandbox.libc import LIBC, check_call
from executor.sandbox.seccomp.system_calls import CALLS
from tests.support import kernel
from tests.support.as_user import main

REFUSED_CALLS = (
    *("unshare", "setns", "mount", "umount2", "pivot_root", "mount_setattr", "open_tree", "move_mount", "fsopen"),
    *("fsconfig", "fsmount", "fspick", "bpf", "perf_event_open", "keyctl", "add_key", "request_key", "userfaultfd"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "name_to_handle_at", "open_by_handle_at"),
)


def mount(paths: list[str]) -> None:
    """Mount these without exec, for this process and what it starts."""
    os.unshare(os.CLONE_NEWNS)
    check_call(LIBC.mount(None, b"/", None, ctypes.c_ulong(mounts.SLAVE | mounts.RECURSIVE), None))
    for path in paths:
        copy = mounts._clone_mount(path, True)
        here = (mounts.AT_FDCWD, os.fsencode(path), mounts.FROM_DESCRIPTOR)
        check_call(LIBC.syscall(mounts.MOVE_MOUNT, copy, b"", *here))
        os.close(copy)


if __name__ == "__main__":
    if sys.argv.pop(2) == "noexec":
        mount([*os.environ["ALLOWED_PATHS"].split(","), os.environ["WRITABLE_PATHS"]])
    kernel.refuse_calls((CALLS[name] for name in REFUSED_CALLS), errno.EPERM)
    sys.exit(main())
