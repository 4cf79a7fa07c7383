"""Confines this process permanently: resource limits, Landlock, no new code or rights, the filter of system calls.

Invariants: a step that fails ends the process before the job runs. Nothing is imported at run time: it runs in a fork.
"""

import os
import resource

from msgspec import Struct, structs

from executor.sandbox import landlock
from executor.sandbox.libc import forbid_new_privileges
from executor.sandbox.seccomp import filters as seccomp

MAX_DESCRIPTOR = 1 << 20


class ResourceLimits(Struct, frozen=True):
    """Limits of one job. cpu: seconds. memory: bytes of all its processes. file_size: bytes of one file."""

    cpu: int = 60
    memory: int = 1 << 30
    processes: int = 64
    file_size: int = 256 << 20
    open_files: int = 256


class Program(Struct, frozen=True):
    """An ELF program. path: without symbolic links. loader: empty if the program needs none."""

    path: str
    loader: str = ""
    libraries: tuple[str, ...] = ()


class Defences(Struct, frozen=True):
    """Which defences are active. All of them, except in tests that show what each is for.

    mounts: `noexec` and read-only mounts. hidden: other processes of the same user can't read the executor's memory.
    namespaces: each command has its own PID and user namespace. executor: the executor itself is confined. cgroups: each
    command has a control group, where the host allows it.
    """

    landlock: bool = True
    seccomp: bool = True
    memory: bool = True
    mounts: bool = True
    hidden: bool = True
    namespaces: bool = True
    executor: bool = True
    cgroups: bool = True


def set_limits(limits: ResourceLimits, processes: int) -> None:
    """Sets the resource limits. processes: how many this user may have, including those of other jobs."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))


class Sandbox(Struct, frozen=True):
    """The defences of a process. ruleset: descriptor of the Landlock rules; -1 for none. filter: of system calls."""

    ruleset: int
    version: int
    filter: bytes
    defences: Defences

    def apply_base(self) -> None:
        """Applies everything that needs no knowledge of the job. Raises OSError."""
        if self.defences.memory:
            seccomp.freeze_memory()
        forbid_new_privileges()
        if self.defences.seccomp:
            seccomp.install(self.filter)

    def apply_rules(self, extra_rules: landlock.Rules | None = None) -> None:
        """Restricts this process to the rules, permanently. extra_rules: what the job needs in addition. Raises OSError."""
        if self.ruleset >= 0:
            if extra_rules:
                landlock.add_rules(self.ruleset, extra_rules, self.version)
            landlock.restrict_self(self.ruleset)
            os.close(self.ruleset)

    def apply_program_filter(self) -> None:
        """Applies the filter that our own code can't work with: only the program runs after it. Raises OSError."""
        if self.defences.seccomp:
            seccomp.install(seccomp.build_program_filter())

    def replace_rules(self, rules: landlock.Rules) -> None:
        """Restricts this process to other rules instead. Raises OSError."""
        if self.ruleset >= 0:
            os.close(self.ruleset)
            structs.replace(self, ruleset=landlock.create_ruleset(rules, self.version)).apply_rules()


def build_sandbox(rules: landlock.Rules, filter_: bytes, defences: Defences) -> Sandbox:
    """Returns a sandbox that is not applied yet. Raises OSError."""
    version = landlock.get_abi_version()
    return Sandbox(landlock.create_ruleset(rules, version) if defences.landlock else -1, version, filter_, defences)


def close_other_descriptors(keep: set[int]) -> None:
    """Closes every file descriptor except 0 to 2 and those in `keep`."""
    low = 3
    keep = {each for each in keep if each > 2}
    for each in sorted(keep):
        os.closerange(low, each)
        low = max(low, each + 1)
    os.closerange(low, MAX_DESCRIPTOR)
