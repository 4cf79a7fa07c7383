"""Seccomp: which system calls a process may not make. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: the filter is a function of the machine and of what is asked for. A call of another architecture ends the
process; a denied call is EPERM, so that programs go on and say so. Only listed calls exist; any other is ENOSYS.
Landlock governs the paths.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

from executor.sandbox.landlock import LIBC
from executor.sandbox.seccomp import allowed_calls
from executor.sandbox.seccomp.bpf import (
    ALLOW,
    AND,
    JUMP_ANY_BIT,
    JUMP_EQ,
    RETURN,
    among,
    argument,
    head,
    none_of,
    op,
    refuse,
    when,
)
from executor.sandbox.seccomp.system_calls import (
    ASKING,
    CALLS,
    CHANGING,
    OF_CLI,
    OF_DESCRIPTORS,
    OF_MEMORY,
    OF_MODES,
    OF_NETWORK,
    OF_OTHERS,
    OF_OWNERS,
    OF_SENDING,
    OF_SERVING,
    OF_SIGNALS,
    OF_STARTING,
    OF_WATCHING,
    SET_FLAGS,
    SIGNAL_FLAG,
    SPECIAL,
)

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
NEW_THREAD = 0x10000  # CLONE_THREAD
EXEC, WRITE_AND_EXEC = 4, 6
SHARED_OR_ANONYMOUS = 0x21
SET_USER_OR_GROUP = 0o6000
MAKES_A_FILE = 0x40 | 0x400000  # O_CREAT, __O_TMPFILE
# fallocate(2): what makes room, and what takes it away.
FALLOCATE, PUNCH_HOLE = 0, 3
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
STREAM, DATAGRAM, KIND_MASK = 1, 2, 0xF
TCP, UDP = 6, 17
MSG_FASTOPEN = 0x20000000

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


class Unsupported(Exception):
    """There is no filter for this machine."""


def supported() -> bool:
    """Whether there is a filter for this machine."""
    return platform.machine() in ARCHITECTURES


def command_filter(*, signals: bool, machine: str = "") -> bytes:
    """For a command: no socket of any kind, no memory both written and run, no other process of the same user.

    signals: leave them to Landlock's scope.
    """
    denied = [name for name in CALLS if name not in SPECIAL] + list(OF_NETWORK)
    denied += [] if signals else list(OF_SIGNALS)
    return _program(denied, machine or platform.machine())


def program_filter(machine: str = "") -> bytes:
    """For what comes in a command's process after our own code: the modes of openat2 can't be looked at, so it does not exist."""
    machine = machine or platform.machine()
    arch, column = _arch(machine)
    return b"".join([*head(arch, machine), *when(CALLS["openat2"][column], [refuse(errno.ENOSYS)]), op(RETURN, ALLOW)])


def cli_filter(*, signals: bool, names: bool, machine: str = "") -> bytes:
    """For the CLI: TCP, and what names are looked up by; its JIT may make code, and other processes are not its own.

    signals: leave them to Landlock's scope. names: it has to look some up, which takes UDP.
    """
    machine = machine or platform.machine()
    _, column = _arch(machine)
    denied = [name for name in CALLS if name not in {*SPECIAL, *OF_CLI}] + ["socketpair", "bind"]
    # Its threads signal one another by tgkill.
    denied += [] if signals else [name for name in OF_SIGNALS if name != "tgkill"]
    return _program(
        denied,
        machine,
        internet=_internet(names=names),
        more=(*(CALLS[name][column] for name in OF_CLI), *(call[column] for call in OF_WATCHING)),
    )


def executor_filter(pid: int, machine: str = "") -> bytes:
    """For the tools executor itself, once all is open: threads and no process, signals to itself, the sockets that it has.

    pid: its own. It may make Unix sockets, to tell a service manager how it is, and connects to none.
    """
    machine = machine or platform.machine()
    _, column = _arch(machine)
    # By a file in memory it hands on what is too long for a message.
    denied = [name for name in CALLS if name not in {*SPECIAL, "memfd_create"}]
    denied += ["bind", "connect", "openat2", *(name for name in OF_SIGNALS if name != "tgkill")]
    first = [step for call in OF_STARTING for step in when(call[column], [refuse(errno.EPERM)])]
    for name, steps in (
        ("clone", [argument(0), op(JUMP_ANY_BIT, NEW_THREAD, 1, 0), refuse(errno.EPERM)]),
        ("tgkill", [argument(0), *among((pid,), errno.EPERM)]),
        ("socket", [argument(0), *among((AF_UNIX,), errno.EAFNOSUPPORT)]),
    ):
        first += when(CALLS[name][column], steps)
    return _program(
        denied,
        machine,
        first=first,
        more=tuple(call[column] for call in (*OF_SERVING, CALLS["memfd_create"])),
    )


def install(program: bytes) -> None:
    """Bind this thread, and all that it starts. Needs no_new_privs. Raises OSError."""
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def freeze_memory() -> bool:
    """No memory of this process may ever become code that was not (Linux 6.3); whether the kernel has that."""
    return LIBC.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0


def _internet(*, names: bool) -> list[bytes]:
    """The steps for a call of socket: of the internet only, and TCP; for names UDP too. Netlink tells which addresses there are."""
    kinds, protocols = ((STREAM, DATAGRAM), (0, TCP, UDP)) if names else ((STREAM,), (0, TCP))
    of_internet = [
        *among((AF_INET, AF_INET6), errno.EAFNOSUPPORT),
        *(argument(1), op(AND, KIND_MASK), *among(kinds, errno.EPROTONOSUPPORT)),
        *(argument(2), *among(protocols, errno.EPROTONOSUPPORT)),
    ]
    return [argument(0), op(JUMP_EQ, AF_NETLINK, len(of_internet), 0), *of_internet]


def _alone(column: int) -> list[bytes]:
    """The steps that leave a process its own limits and priority, and nobody else's."""
    steps: list[bytes] = []
    for name, (whose, users) in OF_OTHERS.items():
        own = [argument(whose), op(JUMP_EQ, 0, 1, 0), refuse(errno.EPERM)]
        if users is not None:
            own += [argument(0), op(JUMP_EQ, users, 0, 1), refuse(errno.EPERM)]
        steps += when(CALLS[name][column], own)
    return steps


def _arch(machine: str) -> tuple[int, int]:
    if machine not in ARCHITECTURES:
        raise Unsupported(f"there is no system call filter for {machine}; x86_64 and aarch64 have one")
    return ARCHITECTURES[machine]


def _program(
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
    arch, column = _arch(machine)
    steps = [*head(arch, machine), *first]
    for name in denied:
        steps += when(CALLS[name][column], [refuse(errno.EPERM)])
    # glibc falls back to clone, whose flags can be looked at.
    steps += when(CALLS["clone3"][column], [refuse(errno.ENOSYS)])
    steps += when(CALLS["clone"][column], [argument(0), op(JUMP_ANY_BIT, NAMESPACES, 0, 1), refuse(errno.EPERM)])
    steps += _alone(column)
    steps += _modes(column)
    if internet is None:
        steps += _frozen_memory(column)
        steps += _files(column)
    else:
        steps += when(CALLS["fcntl"][column], none_of(1, OF_OWNERS))
        steps += when(CALLS["ioctl"][column], none_of(1, CHANGING))
        steps += when(CALLS["socket"][column], internet)
        # What is sent with the call that connects would not be asked of Landlock.
        for name, flags in OF_SENDING.items():
            early = [argument(flags), op(JUMP_ANY_BIT, MSG_FASTOPEN, 0, 1), refuse(errno.EPERM)]
            steps += when(CALLS[name][column], early)
    looked_at = [CALLS[name][column] for name in SPECIAL if name not in denied]
    for number in (*allowed_calls.numbers(column), *looked_at, *more):
        if number >= 0:
            steps += [op(JUMP_EQ, number, 0, 1), op(RETURN, ALLOW)]
    return b"".join([*steps, refuse(errno.ENOSYS)])


def _frozen_memory(column: int) -> list[bytes]:
    """The steps by which only what is mapped from a file, for this process alone, is run, and stays what it is."""
    shared = [op(JUMP_ANY_BIT, EXEC, 0, 3), argument(3), op(JUMP_ANY_BIT, SHARED_OR_ANONYMOUS, 0, 1)]
    both = [argument(2), op(AND, WRITE_AND_EXEC), op(JUMP_EQ, WRITE_AND_EXEC, 0, 1), refuse(errno.EPERM)]
    steps = when(CALLS["mmap"][column], [*both, *shared, refuse(errno.EPERM)])
    for name in OF_MEMORY[1:]:
        steps += when(CALLS[name][column], [argument(2), op(JUMP_ANY_BIT, EXEC, 0, 1), refuse(errno.EPERM)])
    return steps


def _modes(column: int) -> list[bytes]:
    """The steps that let no file have the rights of its user or group given to whoever runs it."""
    steps: list[bytes] = []
    for name, (mode, flags) in OF_MODES.items():
        bits = [argument(mode), op(JUMP_ANY_BIT, SET_USER_OR_GROUP, 0, 1), refuse(errno.EPERM)]
        makes = [] if flags is None else [argument(flags), op(JUMP_ANY_BIT, MAKES_A_FILE, 0, len(bits))]
        steps += when(CALLS[name][column], [*makes, *bits])
    return steps


def _files(column: int) -> list[bytes]:
    """The steps for what is done to descriptors: nobody is signalled, nothing locked, no room taken beforehand."""
    of_flags = [
        *(argument(1), op(JUMP_EQ, SET_FLAGS, 0, 3)),
        *(argument(2), op(JUMP_ANY_BIT, SIGNAL_FLAG, 0, 1), refuse(errno.EPERM)),
    ]
    commands = [argument(1), *among(OF_DESCRIPTORS, errno.EPERM)]
    # glibc writes the room instead.
    room = [
        *(argument(1), op(JUMP_EQ, FALLOCATE, 1, 0), op(JUMP_EQ, PUNCH_HOLE, 0, 1), refuse(errno.EOPNOTSUPP)),
        refuse(errno.EPERM),
    ]
    return [
        *when(CALLS["fcntl"][column], [*of_flags, *commands]),
        *when(CALLS["ioctl"][column], [*none_of(1, CHANGING), *among(ASKING, errno.ENOTTY)]),
        *when(CALLS["flock"][column], [refuse(errno.EPERM)]),
        *when(CALLS["fallocate"][column], room),
    ]
