"""A program of ours as its systemd unit runs it, without systemd: its user, its mounts, its filter of system calls.

usage: python -m tests.support.under_unit [--role claude|tools …]    UNDER_UID, UNDER_GROUPS: who it becomes, if this is root

What is taken from the unit: SystemCallFilter (by systemd's own groups), RestrictNamespaces, RestrictAddressFamilies,
MemoryDenyWriteExecute, NoNewPrivileges, CapabilityBoundingSet, and ProtectSystem=strict with ReadWritePaths and NoExecPaths, whose folders are
those of WRITABLE_PATHS and ALLOWED_PATHS (UNDER_MOUNTS=no: without). The filters are made by libseccomp, as systemd makes them.
"""

import ctypes
import errno
import importlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable

import executor.app  # noqa: F401 # pyright: ignore[reportUnusedImport] # before it is somebody who may not read it, where the checkout is root's
from executor.__main__ import main as start_executor
from executor.sandbox import mounts, privileges
from tests.support.stack import REPOSITORY

UNITS = REPOSITORY / "deploy/systemd"
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EQUAL, MASKED = 4, 7
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
WRITE, EXEC, SHM_EXEC = 2, 4, 0o100000
MAX_ADDRESS_FAMILIES = 64

type Settings = dict[str, list[str]]


class Argument(ctypes.Structure):
    """libseccomp's struct scmp_arg_cmp."""

    _fields_ = (("at", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def load_library() -> ctypes.CDLL:
    """The library. Raises OSError."""
    found = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    found.seccomp_init.restype = ctypes.c_void_p
    found.seccomp_init.argtypes = [ctypes.c_uint32]
    found.seccomp_load.argtypes = [ctypes.c_void_p]
    found.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Argument)),
    ]
    return found


class Filter:
    """One filter. Mutable: its rules."""

    def __init__(self, default: int) -> None:
        self._library = load_library()
        self._context = self._library.seccomp_init(default)

    def add_rule(self, action: int, call: str, *arguments: tuple[int, int, int, int]) -> None:
        """What becomes of a call with such arguments; nothing for a call that this machine does not have."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Argument * max(1, len(arguments)))(*(Argument(*each) for each in arguments))
            said = self._library.seccomp_rule_add_array(self._context, action, number, len(arguments), array)
            assert said == 0, (call, said)

    def load(self) -> None:
        """From now on, for this process and all below it."""
        assert self._library.seccomp_load(self._context) == 0


def parse_settings(unit: str) -> Settings:
    """What a unit says, by name; several times what is said several times."""
    found: Settings = {}
    for line in (UNITS / unit).read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def list_call_groups() -> Settings:
    """Systemd's groups of system calls, each with its members, which may be groups."""
    analyze = shutil.which("systemd-analyze") or ""
    said = subprocess.run([analyze, "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True)
    found: Settings = {}
    name = ""
    for line in said.stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif line.startswith(" ") and (member := line.strip()) and not member.startswith("#"):
            found.setdefault(name, []).append(member)
    return found


def expand_groups(names: Iterable[str], known: Settings) -> set[str]:
    """The system calls of these names and groups."""
    found: set[str] = set()
    for name in names:
        found |= expand_groups(known[name], known) if name.startswith("@") else {name}
    return found


def list_allowed_calls(unit: Settings) -> set[str]:
    """The system calls that are left."""
    known = list_call_groups()
    left = expand_groups(["@default"], known)
    for line in unit["SystemCallFilter"]:
        if line.startswith("~"):
            left -= expand_groups(line[1:].split(), known)
        else:
            left |= expand_groups(line.split(), known)
    return left


def build_filters(unit: Settings) -> list[Filter]:
    """All that the unit asks for, to be loaded in this order."""
    made: list[Filter] = []
    if unit.get("RestrictNamespaces") == ["yes"]:
        made.append(none := Filter(ALLOW))
        none.add_rule(ERRNO | errno.ENOSYS, "clone3")
        none.add_rule(ERRNO | errno.EPERM, "setns")
        for kind in NAMESPACES:
            for call in ("unshare", "clone"):
                none.add_rule(ERRNO | errno.EPERM, call, (0, MASKED, kind, kind))
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        made.append(strict := Filter(ALLOW))
        strict.add_rule(ERRNO | errno.EPERM, "mmap", (2, MASKED, WRITE | EXEC, WRITE | EXEC))
        for call in ("mprotect", "pkey_mprotect"):
            strict.add_rule(ERRNO | errno.EPERM, call, (2, MASKED, EXEC, EXEC))
        strict.add_rule(ERRNO | errno.EPERM, "shmat", (2, MASKED, SHM_EXEC, SHM_EXEC))
    made.append(families := Filter(ALLOW))
    known = {int(getattr(socket, name)) for line in unit["RestrictAddressFamilies"] for name in line.split()}
    for family in set(range(MAX_ADDRESS_FAMILIES)) - known:
        families.add_rule(ERRNO | errno.EAFNOSUPPORT, "socket", (0, EQUAL, family, 0))
    made.append(calls := Filter(ERRNO | errno.EPERM))
    for call in list_allowed_calls(unit):
        calls.add_rule(ALLOW, call)
    return made


def mount_folders(unit: Settings) -> None:
    """The folders as the unit has them."""
    writable = [path for path in os.environ.get("WRITABLE_PATHS", "").split(",") if path]
    readable = [path for path in os.environ.get("ALLOWED_PATHS", "").split(",") if path]
    held = dict.fromkeys(readable, False) | dict.fromkeys([*writable, os.environ["RUN_DIR"]], True)
    if "NoExecPaths" in unit and os.environ.get("UNDER_MOUNTS") != "no" and (said := mounts.remount_folders(held)):
        sys.exit(said)


def main() -> int:
    """Become what the unit makes of it, and run it."""
    role = sys.argv[sys.argv.index("--role") + 1] if "--role" in sys.argv else "api"
    unit = parse_settings({"api": "claude-api.service"}.get(role, f"{role}-executor@.service"))
    made = build_filters(unit)
    if role == "api":
        from api.__main__ import main as program  # noqa: PLC0415 # an executor has no need of it
    else:
        program = start_executor
    # What is loaded when it is needed: this user may be in a checkout that the unit's can't enter.
    for late in (
        ("api.dialects.mcp.sessions",)
        if role == "api"
        else ("executor.tools.files.pages", "executor.tools.files.documents")
    ):
        importlib.import_module(late)
    if os.getuid() == 0:
        mount_folders(unit)
        os.setgroups([int(group) for group in os.environ.get("UNDER_GROUPS", "").split(",") if group])
        if uid := int(os.environ.get("UNDER_UID", "0")):
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
    privileges.drop_capabilities()
    for each in made:
        each.load()
    return program() or 0


if __name__ == "__main__":
    sys.exit(main())
