"""Runs the tools executor without some of its defences, to show that they are what stops an attack.

usage: python -m tests.support.without_defences landlock,seccomp,… UID --role tools …
"""

import sys
from collections.abc import Iterable
from functools import partial

from executor.sandbox.confine import Defences
from tests.support.as_user import main


def remove_defences(names: Iterable[str]) -> None:
    """Take these defences down. `mounts` are those without exec and without change; `probe` is the trial at start."""
    from executor.sandbox.libc import LIBC  # noqa: PLC0415 # after the fork
    from executor.tools import start  # noqa: PLC0415
    from shared.process import core_dumps  # noqa: PLC0415

    down = set(names)
    start.Defences = lambda: Defences(  # pyright: ignore[reportAttributeAccessIssue] # what the start puts up
        landlock="landlock" not in down,
        seccomp="seccomp" not in down,
        memory="seccomp" not in down,
        mounts="mounts" not in down,
        hidden="hiding" not in down,
        # Who has a user namespace of his own can't look out of it.
        namespaces="mounts" not in down,
        executor="itself" not in down,
        cgroups="groups" not in down,
    )
    if "hiding" in down:
        core_dumps.hide_memory = lambda: LIBC.prctl(core_dumps.PR_SET_DUMPABLE, 1, 0, 0, 0)

    async def holds(_zygote: object) -> str:
        return ""

    start.probe_sandbox = holds


if __name__ == "__main__":
    sys.exit(main(partial(remove_defences, sys.argv.pop(1).split(","))))
