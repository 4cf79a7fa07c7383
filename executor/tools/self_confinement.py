"""Confines the tools executor's own process, once its socket is bound, its zygote grown and root left.

Invariants: it reads Python's code and the system's tables of time, no file of an allowed path, and writes nowhere but to
what is open already; it starts no process. What it may start, its zygote does, which was forked before.
"""

import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from executor.sandbox import landlock
from executor.sandbox.landlock import Rules
from executor.sandbox.seccomp import filters

PACKAGE_ROOT = Path(__file__).parents[2]
# What is loaded when it is first used, and where a traceback takes its lines from. Never the folder above, which may
# hold settings.
CODE_PACKAGES = ("executor", "shared")
# Times in the log, libraries of a module in C, how many threads are worth it.
SYSTEM_FILES = (
    *("/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale", "/etc/ld.so.cache"),
    "/sys/devices/system/cpu/online",
)


def confine_self(path: Path, environ: Mapping[str, str]) -> None:
    """Bind this process, and every thread that it starts, for good. path: of its socket. Raises OSError."""
    version = landlock.get_abi_version()
    if version:
        landlock.restrict_self(landlock.create_ruleset(build_rules(path, environ), version))
    if filters.is_supported():
        filters.freeze_memory()
        filters.install(filters.build_executor_filter(os.getpid()))


def build_rules(path: Path, environ: Mapping[str, str]) -> Rules:
    """What it may reach. path: of its socket, which it removes at its end."""
    libraries = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    code = (*libraries, *(str(PACKAGE_ROOT / name) for name in CODE_PACKAGES))
    return Rules(
        read=_filter_reachable((*code, *SYSTEM_FILES, "/proc/self")),
        read_write=("/dev/null",),
        unlink=_filter_reachable((str(path.parent),)),
        abstract_sockets=environ.get("NOTIFY_SOCKET", "").startswith("@"),
    )


def _filter_reachable(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those that this user can reach: it may have come down from root, to whom it was open."""
    return tuple(dict.fromkeys(each for each in paths if os.access(each, os.F_OK)))
