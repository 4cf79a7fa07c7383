"""Seccomp: restricts the system calls of a process. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: a filter depends only on this machine and the arguments of its builder. A call of another architecture ends the
process; a denied call fails with EPERM, so that programs continue and report it. Only listed calls exist; any other fails
with ENOSYS. Landlock controls the paths.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Sequence

from executor.sandbox.libc import LIBC, check_call
from executor.sandbox.seccomp import argument_checks
from executor.sandbox.seccomp.bpf import (
    ALLOW,
    ARCHITECTURES,
    JUMP_ANY_BIT,
    JUMP_EQ,
    RETURN,
    check_architecture,
    encode_instruction,
    load_argument,
    match_call,
    reject_bits,
    reject_values,
    require_values,
    return_error,
)
from executor.sandbox.seccomp.system_calls import (
    ALLOWED_CALLS,
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


def is_supported() -> bool:
    """Whether there is a filter for this machine."""
    return platform.machine() in ARCHITECTURES


def build_command_filter(*, allow_signals: bool) -> bytes:
    """Builds a command's filter: no sockets, no memory both writable and executable, no access to other processes.

    allow_signals: Landlock's scope controls them.
    """
    denied = [name for name in CALLS if name not in ARGUMENT_CHECKED_CALLS] + list(NETWORK_CALLS)
    denied += [] if allow_signals else list(SIGNAL_CALLS)
    return _build_filter(denied)


def build_program_filter() -> bytes:
    """Builds the filter that a command's process adds before it executes the program: openat2 does not exist.

    A filter can't check the modes of openat2, and only our own code needs it.
    """
    missing = match_call(CALLS["openat2"], [return_error(errno.ENOSYS)])
    return b"".join([*check_architecture(), *missing, encode_instruction(RETURN, ALLOW)])


def build_cli_filter(*, allow_signals: bool, dns: bool) -> bytes:
    """Builds the CLI's filter: it may use TCP, and its JIT may make code; it has no access to other processes.

    allow_signals: Landlock's scope controls them. dns: the CLI looks names up, which needs UDP.
    """
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, *CLI_CALLS}] + ["socketpair", "bind"]
    # The CLI's threads signal each other by tgkill.
    denied += [] if allow_signals else [name for name in SIGNAL_CALLS if name != "tgkill"]
    return _build_filter(
        denied,
        internet=argument_checks.build_socket_steps(dns=dns),
        more=(*(CALLS[name] for name in CLI_CALLS), *INOTIFY_WATCH_CALLS.values()),
    )


def build_executor_filter(pid: int) -> bytes:
    """Builds the tools executor's own filter: threads but no processes, signals to itself only, its open sockets only.

    pid: its own. It may make Unix sockets, to report its state to a service manager, but may not connect them.
    """
    # It passes data that is too long for a message in a memory file.
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, "memfd_create"}]
    denied += ["bind", "connect", "openat2", *(name for name in SIGNAL_CALLS if name != "tgkill")]
    first: list[bytes] = []
    for name in PROCESS_START_CALLS:
        first += match_call(ALLOWED_CALLS[name], [return_error(errno.EPERM)])
    for name, steps in (
        (
            "clone",
            [load_argument(0), encode_instruction(JUMP_ANY_BIT, os.CLONE_THREAD, 1, 0), return_error(errno.EPERM)],
        ),
        ("tgkill", [load_argument(0), *require_values((pid,), errno.EPERM)]),
        ("socket", [load_argument(0), *require_values((socket.AF_UNIX,), errno.EAFNOSUPPORT)]),
    ):
        first += match_call(CALLS[name], steps)
    return _build_filter(denied, first=first, more=(*LISTEN_CALLS.values(), CALLS["memfd_create"]))


def install(program: bytes) -> None:
    """Restricts this thread, and everything it starts. Needs no_new_privs. Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    check_call(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0))


def freeze_memory() -> bool:
    """Prevents memory from becoming executable later (Linux 6.3). Returns whether the kernel supports that."""
    return LIBC.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0


def _build_filter(
    denied: list[str],
    *,
    internet: list[bytes] | None = None,
    first: Sequence[bytes] = (),
    more: tuple[int, ...] = (),
) -> bytes:
    """Allows only the listed calls and `more`.

    internet: the steps for `socket`; without them, there are no sockets, and memory and descriptors are restricted.
    first: steps before all others.
    """
    steps = [*check_architecture(), *first]
    for name in denied:
        steps += match_call(CALLS[name], [return_error(errno.EPERM)])
    # glibc falls back to clone, whose flags can be checked.
    steps += match_call(CALLS["clone3"], [return_error(errno.ENOSYS)])
    steps += match_call(CALLS["clone"], reject_bits(0, NAMESPACES))
    steps += argument_checks.build_own_process_steps()
    steps += argument_checks.build_mode_steps()
    if internet is None:
        steps += argument_checks.build_memory_steps()
        steps += argument_checks.build_descriptor_steps()
    else:
        steps += match_call(CALLS["fcntl"], reject_values(1, DENIED_FCNTL_COMMANDS))
        steps += match_call(CALLS["ioctl"], reject_values(1, DENIED_IOCTLS))
        steps += match_call(CALLS["socket"], internet)
        steps += argument_checks.build_send_steps()
    checked = [CALLS[name] for name in ARGUMENT_CHECKED_CALLS if name not in denied]
    for number in (*ALLOWED_CALLS.values(), *checked, *more):
        if number >= 0:
            steps += [encode_instruction(JUMP_EQ, number, 0, 1), encode_instruction(RETURN, ALLOW)]
    return b"".join([*steps, return_error(errno.ENOSYS)])
