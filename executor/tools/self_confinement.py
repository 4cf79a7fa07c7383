"""Confines the tools executor's own process, after its socket is bound, its zygote is set up and root is dropped.

Invariants: the process reads Python's code and the system's time zone tables, but no file of an allowed path; it writes
only to descriptors that are already open; it starts no process. The zygote, forked before, starts the processes of jobs.
"""

import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from executor.sandbox import landlock
from executor.sandbox.landlock import Rules
from executor.sandbox.seccomp import filters

PACKAGE_ROOT = Path(__file__).parents[2]
# Modules may be loaded at their first use, and tracebacks show lines of them. Never the folder above, which may contain
# settings.
CODE_PACKAGES = ("executor", "shared")
# For times in the log, for the libraries of C modules, and for the number of threads.
SYSTEM_FILES = (
    *("/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale", "/etc/ld.so.cache"),
    "/sys/devices/system/cpu/online",
)


def confine_self(path: Path, environ: Mapping[str, str]) -> None:
    """Confines this process, and every thread it starts, permanently. path: of its socket. Raises OSError."""
    version = landlock.get_abi_version()
    if version:
        landlock.restrict_self(landlock.create_ruleset(build_rules(path, environ), version))
    if filters.is_supported():
        filters.freeze_memory()
        filters.install(filters.build_executor_filter(os.getpid()))


def build_rules(path: Path, environ: Mapping[str, str]) -> Rules:
    """Builds the rules of what this process may reach. path: of its socket, which it removes when it ends."""
    libraries = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    code = (*libraries, *(str(PACKAGE_ROOT / name) for name in CODE_PACKAGES))
    return Rules(
        read=_filter_reachable((*code, *SYSTEM_FILES, "/proc/self")),
        read_write=("/dev/null",),
        unlink=_filter_reachable((str(path.parent),)),
        abstract_sockets=environ.get("NOTIFY_SOCKET", "").startswith("@"),
    )


def _filter_reachable(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the paths that this user can reach: root may have been able to reach more."""
    return tuple(dict.fromkeys(path for path in paths if os.access(path, os.F_OK)))
