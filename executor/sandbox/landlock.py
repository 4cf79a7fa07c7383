"""Landlock: restricts the paths, ports and processes that a process may reach. (https://docs.kernel.org/userspace-api/landlock.html)

Invariants: everything that the kernel can control is controlled; only a rule gives a right. `list_missing` reports what a
kernel lacks.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from msgspec import Struct

from executor.sandbox.libc import LIBC, check_call, forbid_new_privileges

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
PATH_BENEATH, NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_FILE = 1 << 5
REMOVE_RIGHTS = 1 << 4 | REMOVE_FILE
MAKE_DIR, MAKE_REG = 1 << 7, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
# How many rights each version of the interface knows (ABI 1 to 5; later ones added none for files until 9).
FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
NET_ABI, SCOPE_ABI = 4, 6
BIND_TCP, CONNECT_TCP = 1, 2
ABSTRACT_SOCKETS, SIGNALS = 1, 2

READ_RIGHTS = READ_FILE | READ_DIR
RUN_RIGHTS = EXECUTE | READ_FILE
CHANGE_RIGHTS = READ_RIGHTS | WRITE_FILE | TRUNCATE | REMOVE_RIGHTS | MAKE_DIR | MAKE_REG | REFER


class Rules(Struct, frozen=True):
    """Everything that is allowed. A path includes everything below it. connect_ports: of TCP.

    unlink: folders whose files may be removed. abstract_sockets: abstract Unix sockets of other processes may be reached.
    """

    read: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    change: tuple[str, ...] = ()
    read_write: tuple[str, ...] = ()
    connect_ports: tuple[int, ...] = ()
    unlink: tuple[str, ...] = ()
    abstract_sockets: bool = False


def get_abi_version() -> int:
    """Returns the version of the kernel's interface; 0 without Landlock."""
    return max(0, int(LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)))


def list_missing(version: int) -> tuple[str, ...]:
    """Returns what this kernel's Landlock can't restrict, as sentences, and what restricts it instead."""
    if version == 0:
        return ("this kernel has no Landlock: boot one of 5.13 or newer with `lsm=landlock,…`",)
    missing: list[str] = []
    if version < 2:
        missing.append("files can't be moved between folders (Landlock ABI 2, Linux 5.19)")
    if version < 3:
        missing.append("Landlock does not control truncation (ABI 3, Linux 6.2); only file permissions do")
    if version < SCOPE_ABI:
        missing.append("all signals are denied, since Landlock has no scopes (ABI 6, Linux 6.12)")
    return tuple(missing)


def create_ruleset(rules: Rules, version: int) -> int:
    """Returns a descriptor of the rules, for `restrict_self`. Paths that do not exist are left out. Raises OSError."""
    handled, net = _list_file_rights(version), BIND_TCP | CONNECT_TCP if version >= NET_ABI else 0
    scope = (SIGNALS if rules.abstract_sockets else ABSTRACT_SOCKETS | SIGNALS) if version >= SCOPE_ABI else 0
    size = 24 if version >= SCOPE_ABI else 16 if version >= NET_ABI else 8
    ruleset = _call(CREATE_RULESET, struct.pack("=QQQ", handled, net, scope)[:size], size, 0)
    try:
        add_rules(ruleset, rules, version)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def add_rules(ruleset: int, rules: Rules, version: int) -> None:
    """Adds rules to a ruleset that restricts no process yet. Raises OSError."""
    handled = _list_file_rights(version)
    for paths, rights in (
        (rules.read, READ_RIGHTS),
        (rules.run, RUN_RIGHTS),
        (rules.change, CHANGE_RIGHTS),
        (rules.read_write, READ_FILE | WRITE_FILE),
        (rules.unlink, REMOVE_FILE),
    ):
        _add_path_rules(ruleset, paths, rights & handled)
    if version >= NET_ABI:
        for port in rules.connect_ports:
            _call(ADD_RULE, ruleset, NET_PORT, struct.pack("=QQ", CONNECT_TCP, port), 0)


def _list_file_rights(version: int) -> int:
    return (1 << FS_RIGHTS.get(version, FS_RIGHTS[5])) - 1


def restrict_self(ruleset: int) -> None:
    """Restricts this thread, and everything it starts, to the rules, permanently. Raises OSError."""
    forbid_new_privileges()
    _call(RESTRICT_SELF, ruleset, 0)


def _add_path_rules(ruleset: int, paths: Iterable[str], rights: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            granted = rights if stat.S_ISDIR(os.fstat(descriptor).st_mode) else rights & FILE_RIGHTS
            # The kernel's struct is packed: 8 bytes of rights, 4 of the descriptor.
            _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", granted, descriptor), 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    c_arguments = [ctypes.c_char_p(each) if isinstance(each, bytes) else each for each in arguments]
    return check_call(int(LIBC.syscall(number, *c_arguments)))
