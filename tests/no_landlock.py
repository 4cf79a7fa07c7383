"""The executor on a kernel that has no Landlock: asking for it is answered as such a kernel answers.

usage: python -m tests.no_landlock --role claude|tools …
"""

import errno
import sys

from executor.__main__ import main
from executor.sandbox import landlock
from tests import kernel

if __name__ == "__main__":
    kernel.refuse((landlock.CREATE_RULESET, landlock.ADD_RULE, landlock.RESTRICT_SELF), errno.ENOSYS)
    assert not landlock.abi()
    sys.exit(main())
