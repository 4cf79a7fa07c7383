"""Confines the process it runs in, for good: limits, Landlock, no gain of code or rights, the filter of system calls.

Law: a step that fails ends the process before anything of the job runs. Nothing is imported here: it runs in a fork.
"""

import os
import resource

from msgspec import Struct

from executor.sandbox import landlock, seccomp

HIGHEST = 1 << 20


class Limits(Struct, frozen=True):
    """Of one job. seconds of CPU; bytes of memory (all of its processes), a file, output; processes; open files."""

    cpu: int = 60
    memory: int = 1 << 30
    processes: int = 64
    file_size: int = 256 << 20
    files: int = 256


class Defences(Struct, frozen=True):
    """What is put up. All of it, but for tests that show what each is for."""

    landlock: bool = True
    seccomp: bool = True
    memory: bool = True


def limit(limits: Limits, others: int) -> None:
    """Set the resource limits. others: processes of this user that are not the job's."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NPROC, others + limits.processes),
        (resource.RLIMIT_NOFILE, limits.files),
    ):
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def confine(rules: landlock.Rules, filter_: bytes, defences: Defences) -> None:
    """Put up the defences. Raises OSError."""
    version = landlock.abi()
    made = landlock.ruleset(rules, version) if defences.landlock else -1
    if defences.memory:
        seccomp.freeze_memory()
    landlock.LIBC.prctl(landlock.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if made >= 0:
        landlock.restrict(made)
        os.close(made)
    if defences.seccomp:
        seccomp.install(filter_)


def close_others(keep: set[int]) -> None:
    """Close every file descriptor but the first three and these."""
    low = 3
    keep = {each for each in keep if each > 2}
    for each in sorted(keep):
        os.closerange(low, each)
        low = max(low, each + 1)
    os.closerange(low, HIGHEST)
