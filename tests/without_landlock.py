"""Runs the executor as on a kernel without Landlock: what asks for it is answered that there is no such call.

usage: python -m tests.without_landlock --role tools …
"""

import errno
import os
import struct
import sys

from executor.sandbox import landlock, seccomp

# Load the call's number; refuse the one that makes rules; allow the others.
FILTER = (
    struct.pack("=HBBI", 0x20, 0, 0, 0)
    + struct.pack("=HBBI", 0x15, 0, 1, landlock.CREATE_RULESET)
    + struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | errno.ENOSYS)
    + struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
)

if __name__ == "__main__":
    landlock.LIBC.prctl(landlock.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.install(FILTER)
    os.execv(sys.executable, [sys.executable, "-m", "executor", *sys.argv[1:]])  # noqa: S606
