"""Seccomp: restricts the system calls of a process. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: a filter depends only on the machine and the arguments of its builder. A call of another architecture ends the
process; a denied call fails with EPERM, so that programs continue and report it. Only listed calls exist; any other fails
with ENOSYS. Landlock controls the paths.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence

from executor.sandbox.libc import LIBC, check_call
from executor.sandbox.seccomp import allowed_calls, argument_checks
from executor.sandbox.seccomp.bpf import (
    ALLOW,
    JUMP_ANY_BIT,
    JUMP_EQ,
    RETURN,
    check_architecture,
    encode_instruction,
    load_argument,
    match_call,
    reject_values,
    require_values,
    return_error,
)
from executor.sandbox.seccomp.system_calls import (
    ARGUMENT_CHECKED_CALLS,
    CALLS,
    CLI_CALLS,
    DENIED_FCNTL_COMMANDS,
    DENIED_IOCTLS,
    INOTIFY_WATCH_CALLS,
    LISTEN_CALLS,
    NETWORK_CALLS,
    PROCESS_START_CALLS,
    SIGNAL_CALLS,
)

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
NEW_THREAD = 0x10000  # CLONE_THREAD
AF_UNIX = 1

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


class UnsupportedMachine(Exception):
    """There is no filter for this machine."""


def is_supported() -> bool:
    """Whether there is a filter for this machine."""
    return platform.machine() in ARCHITECTURES


def build_command_filter(*, allow_signals: bool, machine: str = "") -> bytes:
    """Builds a command's filter: no sockets, no memory both writable and executable, no access to other processes.

    allow_signals: Landlock's scope controls them.
    """
    denied = [name for name in CALLS if name not in ARGUMENT_CHECKED_CALLS] + list(NETWORK_CALLS)
    denied += [] if allow_signals else list(SIGNAL_CALLS)
    return _build_filter(denied, machine or platform.machine())


def build_program_filter(machine: str = "") -> bytes:
    """Builds the filter that a command's process adds before it executes the program: openat2 does not exist.

    A filter can't check the modes of openat2, and only our own code needs it.
    """
    machine = machine or platform.machine()
    arch, column = _find_architecture(machine)
    return b"".join(
        [
            *check_architecture(arch, machine),
            *match_call(CALLS["openat2"][column], [return_error(errno.ENOSYS)]),
            encode_instruction(RETURN, ALLOW),
        ]
    )


def build_cli_filter(*, allow_signals: bool, dns: bool, machine: str = "") -> bytes:
    """Builds the CLI's filter: it may use TCP, and its JIT may make code; it has no access to other processes.

    allow_signals: Landlock's scope controls them. dns: the CLI looks names up, which needs UDP.
    """
    machine = machine or platform.machine()
    _, column = _find_architecture(machine)
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, *CLI_CALLS}] + ["socketpair", "bind"]
    # The CLI's threads signal each other by tgkill.
    denied += [] if allow_signals else [name for name in SIGNAL_CALLS if name != "tgkill"]
    return _build_filter(
        denied,
        machine,
        internet=argument_checks.build_socket_steps(dns=dns),
        more=(*(CALLS[name][column] for name in CLI_CALLS), *(call[column] for call in INOTIFY_WATCH_CALLS)),
    )


def build_executor_filter(pid: int, machine: str = "") -> bytes:
    """Builds the tools executor's own filter: threads but no processes, signals to itself only, its open sockets only.

    pid: its own. It may make Unix sockets, to report its state to a service manager, but may not connect them.
    """
    machine = machine or platform.machine()
    _, column = _find_architecture(machine)
    # It passes data that is too long for a message in a memory file.
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, "memfd_create"}]
    denied += ["bind", "connect", "openat2", *(name for name in SIGNAL_CALLS if name != "tgkill")]
    first = [step for call in PROCESS_START_CALLS for step in match_call(call[column], [return_error(errno.EPERM)])]
    for name, steps in (
        ("clone", [load_argument(0), encode_instruction(JUMP_ANY_BIT, NEW_THREAD, 1, 0), return_error(errno.EPERM)]),
        ("tgkill", [load_argument(0), *require_values((pid,), errno.EPERM)]),
        ("socket", [load_argument(0), *require_values((AF_UNIX,), errno.EAFNOSUPPORT)]),
    ):
        first += match_call(CALLS[name][column], steps)
    return _build_filter(
        denied,
        machine,
        first=first,
        more=tuple(call[column] for call in (*LISTEN_CALLS, CALLS["memfd_create"])),
    )


def install(program: bytes) -> None:
    """Restricts this thread, and everything it starts. Needs no_new_privs. Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    check_call(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0))


def freeze_memory() -> bool:
    """Prevents memory from becoming executable later (Linux 6.3). Returns whether the kernel supports that."""
    return LIBC.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0


def _find_architecture(machine: str) -> tuple[int, int]:
    if machine not in ARCHITECTURES:
        raise UnsupportedMachine(f"there is no system call filter for {machine}; x86_64 and aarch64 have one")
    return ARCHITECTURES[machine]


def _build_filter(
    denied: list[str],
    machine: str,
    *,
    internet: list[bytes] | None = None,
    first: Sequence[bytes] = (),
    more: tuple[int, ...] = (),
) -> bytes:
    """Allows only the listed calls and `more`.

    internet: the steps for `socket`; without them, there are no sockets, and memory and descriptors are restricted.
    first: steps before all others.
    """
    arch, column = _find_architecture(machine)
    steps = [*check_architecture(arch, machine), *first]
    for name in denied:
        steps += match_call(CALLS[name][column], [return_error(errno.EPERM)])
    # glibc falls back to clone, whose flags can be checked.
    steps += match_call(CALLS["clone3"][column], [return_error(errno.ENOSYS)])
    steps += match_call(
        CALLS["clone"][column],
        [load_argument(0), encode_instruction(JUMP_ANY_BIT, NAMESPACES, 0, 1), return_error(errno.EPERM)],
    )
    steps += argument_checks.build_own_process_steps(column)
    steps += argument_checks.build_mode_steps(column)
    if internet is None:
        steps += argument_checks.build_memory_steps(column)
        steps += argument_checks.build_descriptor_steps(column)
    else:
        steps += match_call(CALLS["fcntl"][column], reject_values(1, DENIED_FCNTL_COMMANDS))
        steps += match_call(CALLS["ioctl"][column], reject_values(1, DENIED_IOCTLS))
        steps += match_call(CALLS["socket"][column], internet)
        steps += argument_checks.build_send_steps(column)
    checked = [CALLS[name][column] for name in ARGUMENT_CHECKED_CALLS if name not in denied]
    for number in (*allowed_calls.list_numbers(column), *checked, *more):
        if number >= 0:
            steps += [encode_instruction(JUMP_EQ, number, 0, 1), encode_instruction(RETURN, ALLOW)]
    return b"".join([*steps, return_error(errno.ENOSYS)])
