"""Seccomp: which system calls a process may not make. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: the filter is a function of the machine and of what is asked for. A call of another architecture ends the
process; a denied call is EPERM, so that programs go on and say so. Only listed calls exist; any other is ENOSYS.
Landlock governs the paths.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence

from executor.sandbox.libc import LIBC, check_call
from executor.sandbox.seccomp import allowed_calls
from executor.sandbox.seccomp.bpf import (
    ALLOW,
    AND,
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
    ALLOWED_FCNTL_COMMANDS,
    ALLOWED_IOCTLS,
    ARGUMENT_CHECKED_CALLS,
    CALLS,
    CLI_CALLS,
    DENIED_FCNTL_COMMANDS,
    DENIED_IOCTLS,
    F_SETFL,
    INOTIFY_WATCH_CALLS,
    LISTEN_CALLS,
    MEMORY_CALLS,
    MODE_ARGUMENTS,
    NETWORK_CALLS,
    O_ASYNC,
    OTHER_PROCESS_CALLS,
    PROCESS_START_CALLS,
    SEND_FLAG_ARGUMENTS,
    SIGNAL_CALLS,
)

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
NEW_THREAD = 0x10000  # CLONE_THREAD
EXEC, WRITE_AND_EXEC = 4, 6
SHARED_OR_ANONYMOUS = 0x21
SET_USER_OR_GROUP = 0o6000
CREATE_FLAGS = 0x40 | 0x400000  # O_CREAT, __O_TMPFILE
# fallocate(2): what makes room, and what takes it away.
FALLOCATE, PUNCH_HOLE = 0, 3
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
STREAM, DATAGRAM, SOCKET_TYPE_MASK = 1, 2, 0xF
TCP, UDP = 6, 17
MSG_FASTOPEN = 0x20000000

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


class UnsupportedMachine(Exception):
    """There is no filter for this machine."""


def is_supported() -> bool:
    """Whether there is a filter for this machine."""
    return platform.machine() in ARCHITECTURES


def build_command_filter(*, allow_signals: bool, machine: str = "") -> bytes:
    """For a command: no socket of any kind, no memory both written and run, no other process of the same user.

    signals: leave them to Landlock's scope.
    """
    denied = [name for name in CALLS if name not in ARGUMENT_CHECKED_CALLS] + list(NETWORK_CALLS)
    denied += [] if allow_signals else list(SIGNAL_CALLS)
    return _build_filter(denied, machine or platform.machine())


def build_program_filter(machine: str = "") -> bytes:
    """For what comes in a command's process after our own code: the modes of openat2 can't be looked at, so it does not exist."""
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
    """For the CLI: TCP, and what names are looked up by; its JIT may make code, and other processes are not its own.

    signals: leave them to Landlock's scope. names: it has to look some up, which takes UDP.
    """
    machine = machine or platform.machine()
    _, column = _find_architecture(machine)
    denied = [name for name in CALLS if name not in {*ARGUMENT_CHECKED_CALLS, *CLI_CALLS}] + ["socketpair", "bind"]
    # Its threads signal one another by tgkill.
    denied += [] if allow_signals else [name for name in SIGNAL_CALLS if name != "tgkill"]
    return _build_filter(
        denied,
        machine,
        internet=_build_socket_steps(dns=dns),
        more=(*(CALLS[name][column] for name in CLI_CALLS), *(call[column] for call in INOTIFY_WATCH_CALLS)),
    )


def build_executor_filter(pid: int, machine: str = "") -> bytes:
    """For the tools executor itself, once all is open: threads and no process, signals to itself, the sockets that it has.

    pid: its own. It may make Unix sockets, to tell a service manager how it is, and connects to none.
    """
    machine = machine or platform.machine()
    _, column = _find_architecture(machine)
    # By a file in memory it hands on what is too long for a message.
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
    """Bind this thread, and all that it starts. Needs no_new_privs. Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    check_call(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0))


def freeze_memory() -> bool:
    """No memory of this process may ever become code that was not (Linux 6.3); whether the kernel has that."""
    return LIBC.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0


def _build_socket_steps(*, dns: bool) -> list[bytes]:
    """The steps for a call of socket: of the internet only, and TCP; for names UDP too. Netlink tells which addresses there are."""
    kinds, protocols = ((STREAM, DATAGRAM), (0, TCP, UDP)) if dns else ((STREAM,), (0, TCP))
    of_internet = [
        *require_values((AF_INET, AF_INET6), errno.EAFNOSUPPORT),
        *(load_argument(1), encode_instruction(AND, SOCKET_TYPE_MASK), *require_values(kinds, errno.EPROTONOSUPPORT)),
        *(load_argument(2), *require_values(protocols, errno.EPROTONOSUPPORT)),
    ]
    return [load_argument(0), encode_instruction(JUMP_EQ, AF_NETLINK, len(of_internet), 0), *of_internet]


def _build_own_process_steps(column: int) -> list[bytes]:
    """The steps that leave a process its own limits and priority, and nobody else's."""
    steps: list[bytes] = []
    for name, (whose, users) in OTHER_PROCESS_CALLS.items():
        own = [load_argument(whose), encode_instruction(JUMP_EQ, 0, 1, 0), return_error(errno.EPERM)]
        if users is not None:
            own += [load_argument(0), encode_instruction(JUMP_EQ, users, 0, 1), return_error(errno.EPERM)]
        steps += match_call(CALLS[name][column], own)
    return steps


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

    internet: the steps for a call of `socket`; without them there is none, memory is frozen and descriptors are bounded.
    first: steps before all others.
    """
    arch, column = _find_architecture(machine)
    steps = [*check_architecture(arch, machine), *first]
    for name in denied:
        steps += match_call(CALLS[name][column], [return_error(errno.EPERM)])
    # glibc falls back to clone, whose flags can be looked at.
    steps += match_call(CALLS["clone3"][column], [return_error(errno.ENOSYS)])
    steps += match_call(
        CALLS["clone"][column],
        [load_argument(0), encode_instruction(JUMP_ANY_BIT, NAMESPACES, 0, 1), return_error(errno.EPERM)],
    )
    steps += _build_own_process_steps(column)
    steps += _build_mode_steps(column)
    if internet is None:
        steps += _build_memory_steps(column)
        steps += _build_descriptor_steps(column)
    else:
        steps += match_call(CALLS["fcntl"][column], reject_values(1, DENIED_FCNTL_COMMANDS))
        steps += match_call(CALLS["ioctl"][column], reject_values(1, DENIED_IOCTLS))
        steps += match_call(CALLS["socket"][column], internet)
        # What is sent with the call that connects would not be asked of Landlock.
        for name, flags in SEND_FLAG_ARGUMENTS.items():
            early = [
                load_argument(flags),
                encode_instruction(JUMP_ANY_BIT, MSG_FASTOPEN, 0, 1),
                return_error(errno.EPERM),
            ]
            steps += match_call(CALLS[name][column], early)
    looked_at = [CALLS[name][column] for name in ARGUMENT_CHECKED_CALLS if name not in denied]
    for number in (*allowed_calls.list_numbers(column), *looked_at, *more):
        if number >= 0:
            steps += [encode_instruction(JUMP_EQ, number, 0, 1), encode_instruction(RETURN, ALLOW)]
    return b"".join([*steps, return_error(errno.ENOSYS)])


def _build_memory_steps(column: int) -> list[bytes]:
    """The steps by which only what is mapped from a file, for this process alone, is run, and stays what it is."""
    shared = [
        encode_instruction(JUMP_ANY_BIT, EXEC, 0, 3),
        load_argument(3),
        encode_instruction(JUMP_ANY_BIT, SHARED_OR_ANONYMOUS, 0, 1),
    ]
    both = [
        load_argument(2),
        encode_instruction(AND, WRITE_AND_EXEC),
        encode_instruction(JUMP_EQ, WRITE_AND_EXEC, 0, 1),
        return_error(errno.EPERM),
    ]
    steps = match_call(CALLS["mmap"][column], [*both, *shared, return_error(errno.EPERM)])
    for name in MEMORY_CALLS[1:]:
        steps += match_call(
            CALLS[name][column],
            [load_argument(2), encode_instruction(JUMP_ANY_BIT, EXEC, 0, 1), return_error(errno.EPERM)],
        )
    return steps


def _build_mode_steps(column: int) -> list[bytes]:
    """The steps that let no file have the rights of its user or group given to whoever runs it."""
    steps: list[bytes] = []
    for name, (mode, flags) in MODE_ARGUMENTS.items():
        bits = [
            load_argument(mode),
            encode_instruction(JUMP_ANY_BIT, SET_USER_OR_GROUP, 0, 1),
            return_error(errno.EPERM),
        ]
        makes = (
            []
            if flags is None
            else [load_argument(flags), encode_instruction(JUMP_ANY_BIT, CREATE_FLAGS, 0, len(bits))]
        )
        steps += match_call(CALLS[name][column], [*makes, *bits])
    return steps


def _build_descriptor_steps(column: int) -> list[bytes]:
    """The steps for what is done to descriptors: nobody is signalled, nothing locked, no room taken beforehand."""
    of_flags = [
        *(load_argument(1), encode_instruction(JUMP_EQ, F_SETFL, 0, 3)),
        *(load_argument(2), encode_instruction(JUMP_ANY_BIT, O_ASYNC, 0, 1), return_error(errno.EPERM)),
    ]
    commands = [load_argument(1), *require_values(ALLOWED_FCNTL_COMMANDS, errno.EPERM)]
    # glibc writes the room instead.
    room = [
        *(
            load_argument(1),
            encode_instruction(JUMP_EQ, FALLOCATE, 1, 0),
            encode_instruction(JUMP_EQ, PUNCH_HOLE, 0, 1),
            return_error(errno.EOPNOTSUPP),
        ),
        return_error(errno.EPERM),
    ]
    return [
        *match_call(CALLS["fcntl"][column], [*of_flags, *commands]),
        *match_call(
            CALLS["ioctl"][column], [*reject_values(1, DENIED_IOCTLS), *require_values(ALLOWED_IOCTLS, errno.ENOTTY)]
        ),
        *match_call(CALLS["flock"][column], [return_error(errno.EPERM)]),
        *match_call(CALLS["fallocate"][column], room),
    ]
