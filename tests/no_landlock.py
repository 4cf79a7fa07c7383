"""The executor on a kernel that has no Landlock: asking for it is answered as such a kernel answers.

usage: python -m tests.no_landlock --role claude|tools …
"""

import errno
import struct
import sys

from executor.__main__ import main
from executor.sandbox import landlock, seccomp

OF_LANDLOCK = (landlock.CREATE_RULESET, landlock.ADD_RULE, landlock.RESTRICT_SELF)


def take_out() -> None:
    """Every call of Landlock, from now on, is one that this kernel does not know."""
    steps = [(seccomp.LOAD, 0, 0, seccomp.NR_AT)]
    for number in OF_LANDLOCK:
        steps += [(seccomp.JUMP_EQ, 0, 1, number), (seccomp.RETURN, 0, 0, seccomp.ERRNO | errno.ENOSYS)]
    steps.append((seccomp.RETURN, 0, 0, seccomp.ALLOW))
    landlock.LIBC.prctl(landlock.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.install(b"".join(struct.pack("=HBBI", *step) for step in steps))
    assert not landlock.abi()


if __name__ == "__main__":
    take_out()
    sys.exit(main())
