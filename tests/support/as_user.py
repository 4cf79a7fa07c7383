"""Runs the executor as another user, also from a checkout that only root may enter: everything is imported before.

usage: python -m tests.support.as_user UID --role tools …
"""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial

from executor.__main__ import parse_arguments
from executor.sandbox.zygote.client import Zygote
from executor.tools.worker.setup import set_up_worker


def switch_user(uid: int) -> None:
    """Be this user from now on; 0 is whoever this is."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def load_and_switch_user(uid: int) -> None:
    """Load what the zygote loads, and be this user."""
    for name in ("files.pages", "files.documents"):
        importlib.import_module(f"executor.tools.{name}")
    switch_user(uid)


def main(loaded: Callable[[], None] = lambda: None) -> int:
    """Run until drained. loaded: called when everything is imported."""
    uid = int(sys.argv.pop(1))
    zygote = Zygote(set_up_worker, first=partial(load_and_switch_user, uid))
    from executor import app  # noqa: PLC0415 # after the fork, as the executor does

    loaded()
    switch_user(uid)
    return app.main(parse_arguments(sys.argv[1:]), zygote)


if __name__ == "__main__":
    sys.exit(main())
