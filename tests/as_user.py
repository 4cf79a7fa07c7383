"""Runs the executor as another user, also from a checkout that only root may enter: everything is imported before.

usage: python -m tests.as_user UID --role tools …
"""

import os
import sys

from executor.__main__ import main

if __name__ == "__main__":
    uid = int(sys.argv.pop(1))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    sys.exit(main())
