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
from executor.sandbox.seccomp import steps
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
    return platform.machine() in steps.ARCHITECTURES


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
    missing = steps.match_call(CALLS["openat2"], [steps.return_error(errno.ENOSYS)])
    return b"".join([*steps.check_architecture(), *missing, steps.encode_instruction(steps.RETURN, steps.ALLOW)])


def build_cli_filter(*, allow_signals: bool, dns: bool) -> bytes:
    """Builds the CLI's filter: it may use TCP, and its JIT may make code; it has no access to other processes.

    allow_signals: Landlock's scope controls them. dns: the CLI looks names up, which needs UDP.
    """
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, *CLI_CALLS}] + ["socketpair", "bind"]
    # The CLI's threads signal each other by tgkill.
    denied += [] if allow_signals else [name for name in SIGNAL_CALLS if name != "tgkill"]
    return _build_filter(
        denied,
        internet=steps.build_socket_steps(dns=dns),
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
        first += steps.match_call(ALLOWED_CALLS[name], [steps.return_error(errno.EPERM)])
    for name, check in (
        (
            "clone",
            [
                steps.load_argument(0),
                steps.encode_instruction(steps.JUMP_ANY_BIT, os.CLONE_THREAD, 1, 0),
                steps.return_error(errno.EPERM),
            ],
        ),
        ("tgkill", [steps.load_argument(0), *steps.require_values((pid,), errno.EPERM)]),
        ("socket", [steps.load_argument(0), *steps.require_values((socket.AF_UNIX,), errno.EAFNOSUPPORT)]),
    ):
        first += steps.match_call(CALLS[name], check)
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
    found = [*steps.check_architecture(), *first]
    for name in denied:
        found += steps.match_call(CALLS[name], [steps.return_error(errno.EPERM)])
    # glibc falls back to clone, whose flags can be checked.
    found += steps.match_call(CALLS["clone3"], [steps.return_error(errno.ENOSYS)])
    found += steps.match_call(CALLS["clone"], steps.reject_bits(0, NAMESPACES))
    found += steps.build_own_process_steps()
    found += steps.build_mode_steps()
    if internet is None:
        found += steps.build_memory_steps()
        found += steps.build_descriptor_steps()
    else:
        found += steps.match_call(CALLS["fcntl"], steps.reject_values(1, DENIED_FCNTL_COMMANDS))
        found += steps.match_call(CALLS["ioctl"], steps.reject_values(1, DENIED_IOCTLS))
        found += steps.match_call(CALLS["socket"], internet)
        found += steps.build_send_steps()
    checked = [CALLS[name] for name in ARGUMENT_CHECKED_CALLS if name not in denied]
    for number in (*ALLOWED_CALLS.values(), *checked, *more):
        if number >= 0:
            found += [
                steps.encode_instruction(steps.JUMP_EQ, number, 0, 1),
                steps.encode_instruction(steps.RETURN, steps.ALLOW),
            ]
    return b"".join([*found, steps.return_error(errno.ENOSYS)])
