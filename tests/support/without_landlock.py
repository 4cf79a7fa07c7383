"""Runs the executor as on a kernel without Landlock: what asks for it is answered that there is no such call.

usage: python -m tests.support.without_landlock --role claude|tools …
"""

import errno
import os
import sys

from executor.sandbox import landlock
from tests.support import kernel

if __name__ == "__main__":
    kernel.refuse_calls((landlock.CREATE_RULESET, landlock.ADD_RULE, landlock.RESTRICT_SELF), errno.ENOSYS)
    assert not landlock.get_abi_version()
    os.execv(sys.executable, [sys.executable, "-m", "executor", *sys.argv[1:]])  # noqa: S606
