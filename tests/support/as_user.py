"""Runs the executor as another user, also from a checkout that only root may enter: everything is imported before.

usage: python -m tests.support.as_user UID --role tools …
"""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial

from executor.__main__ import arguments
from executor.sandbox.zygote.client import Zygote
from executor.tools.worker_setup import grown


def become(uid: int) -> None:
    """Be this user from now on; 0 is whoever this is."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def begin(uid: int) -> None:
    """Load what the zygote loads, and be this user."""
    for name in ("pages", "documents"):
        importlib.import_module(f"executor.tools.{name}")
    become(uid)


def main(loaded: Callable[[], None] = lambda: None) -> int:
    """Run until drained. loaded: called when everything is imported."""
    uid = int(sys.argv.pop(1))
    zygote = Zygote(grown, first=partial(begin, uid))
    from executor import app  # noqa: PLC0415 # after the fork, as the executor does

    loaded()
    become(uid)
    return app.main(arguments(sys.argv[1:]), zygote)


if __name__ == "__main__":
    sys.exit(main())
