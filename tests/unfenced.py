"""Runs the tools executor without some of its defences, to show that they are what stops an attack.

usage: python -m tests.unfenced landlock,seccomp,… UID --role tools …
"""

import os
import sys
from collections.abc import Iterable

from executor.__main__ import main
from executor.sandbox.confine import Defences
from executor.tools import start


def without(names: Iterable[str]) -> None:
    """Take these defences down. `mounts` are those without exec and without change; `probe` is the trial at start."""
    down = set(names)
    start.Defences = lambda: Defences(  # pyright: ignore[reportAttributeAccessIssue] # what the start puts up
        landlock="landlock" not in down, seccomp="seccomp" not in down, memory="seccomp" not in down
    )
    if "mounts" in down:
        start.noexec.lay = lambda *_: ""
    if "hiding" in down:
        start.privileges.hide = lambda: None

    async def holds(_zygote: object) -> str:
        return ""

    start.probed = holds


if __name__ == "__main__":
    without(sys.argv.pop(1).split(","))
    if uid := int(sys.argv.pop(1)):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    sys.exit(main())
