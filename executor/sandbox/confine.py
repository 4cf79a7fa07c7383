"""Confines the process it runs in, for good: limits, Landlock, no gain of code or rights, the filter of system calls.

Invariants: a step that fails ends the process before anything of the job runs. Nothing is imported here: it runs in a fork.
"""

import os
import resource

from msgspec import Struct, structs

from executor.sandbox import landlock
from executor.sandbox.libc import forbid_new_privileges
from executor.sandbox.seccomp import filters as seccomp

MAX_DESCRIPTOR = 1 << 20


class ResourceLimits(Struct, frozen=True):
    """Of one job. seconds of CPU; bytes of memory (all of its processes), a file, output; processes; open files."""

    cpu: int = 60
    memory: int = 1 << 30
    processes: int = 64
    file_size: int = 256 << 20
    open_files: int = 256


class Program(Struct, frozen=True):
    """An ELF program. path: the real one. loader: empty if it needs none."""

    path: str
    loader: str = ""
    libraries: tuple[str, ...] = ()


class Defences(Struct, frozen=True):
    """What is put up. All of it, but for tests that show what each is for.

    mounts: those of `noexec`. hidden: no process of the same user may look into the executor's. namespaces: each command has
    its own of processes and users. itself: the executor too is confined. groups: each
    command has a control group, where one can be had.
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
    """Set the resource limits. processes: how many this user may have, those that are not the job's among them."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


class Sandbox(Struct, frozen=True):
    """The defences of a process. made: the rules of paths so far; -1: there are none. filter: of system calls."""

    ruleset: int
    version: int
    filter: bytes
    defences: Defences

    def apply_base(self) -> None:
        """Put up all that can be before a job is known. Raises OSError."""
        if self.defences.memory:
            seccomp.freeze_memory()
        forbid_new_privileges()
        if self.defences.seccomp:
            seccomp.install(self.filter)

    def apply_rules(self, extra_rules: landlock.Rules | None = None) -> None:
        """Bind this process to the rules, for good. more: what the job needs besides. Raises OSError."""
        if self.ruleset >= 0:
            if extra_rules:
                landlock.add_rules(self.ruleset, extra_rules, self.version)
            landlock.restrict_self(self.ruleset)
            os.close(self.ruleset)

    def apply_program_filter(self) -> None:
        """Put up what our own code can't work behind: nothing but a program comes now. Raises OSError."""
        if self.defences.seccomp:
            seccomp.install(seccomp.build_program_filter())

    def replace_rules(self, rules: landlock.Rules) -> None:
        """Bind it to other rules than those so far. Raises OSError."""
        if self.ruleset >= 0:
            os.close(self.ruleset)
            structs.replace(self, ruleset=landlock.create_ruleset(rules, self.version)).apply_rules()


def build_sandbox(rules: landlock.Rules, filter_: bytes, defences: Defences) -> Sandbox:
    """A fence that is not up yet. Raises OSError."""
    version = landlock.get_abi_version()
    return Sandbox(landlock.create_ruleset(rules, version) if defences.landlock else -1, version, filter_, defences)


def confine(rules: landlock.Rules, filter_: bytes, defences: Defences) -> None:
    """Put up the defences. Raises OSError."""
    whole = build_sandbox(rules, filter_, defences)
    whole.apply_base()
    whole.apply_rules()


def close_other_descriptors(keep: set[int]) -> None:
    """Close every file descriptor but the first three and these."""
    low = 3
    keep = {each for each in keep if each > 2}
    for each in sorted(keep):
        os.closerange(low, each)
        low = max(low, each + 1)
    os.closerange(low, MAX_DESCRIPTOR)
