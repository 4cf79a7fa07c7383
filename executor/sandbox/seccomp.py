"""Seccomp: which system calls a process may not make. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Law: the filter is a function of the machine and of what is asked for. A call of another architecture ends the process;
a denied call is EPERM, so that programs go on and say so. A command may make the calls that are listed, and no other exists
for it; to the CLI what is not denied is allowed. Landlock governs the paths of both.
"""

import ctypes
import errno
import os
import platform
import struct

from executor.sandbox import allowed_calls
from executor.sandbox.landlock import LIBC
from executor.sandbox.system_calls import (
    ASKING,
    CALLS,
    CHANGING,
    OF_DESCRIPTORS,
    OF_MEMORY,
    OF_MODES,
    OF_NETWORK,
    OF_OTHERS,
    OF_OWNERS,
    OF_SENDING,
    OF_SIGNALS,
    SET_FLAGS,
    SIGNAL_FLAG,
    SPECIAL,
)

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
LOAD, JUMP_EQ, JUMP_GE, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH_AT, NR_AT, ARGUMENTS_AT = 4, 0, 16
X32 = 0x40000000
NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
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
    return _program(denied, machine or platform.machine(), listed=True)


def program_filter(machine: str = "") -> bytes:
    """For what comes in a command's process after our own code: the modes of openat2 can't be looked at, so it does not exist."""
    machine = machine or platform.machine()
    arch, column = _arch(machine)
    return b"".join(
        [*_head(arch, machine), *_when(CALLS["openat2"][column], [_refuse(errno.ENOSYS)]), _op(RETURN, ALLOW)]
    )


def cli_filter(*, signals: bool, names: bool, machine: str = "") -> bytes:
    """For the CLI: TCP, and what names are looked up by; its JIT may make code, and other processes are not its own.

    signals: leave them to Landlock's scope. names: it has to look some up, which takes UDP.
    """
    denied = [name for name in CALLS if name not in SPECIAL] + ["socketpair", "bind"]
    # The CLI finds its own programs by pidfd, and talks to nothing else's; it watches its own files.
    denied = [name for name in denied if name not in {"pidfd_open", "inotify_init", "inotify_init1"}]
    # Its threads signal one another by tgkill.
    denied += [] if signals else [name for name in OF_SIGNALS if name != "tgkill"]
    return _program(denied, machine or platform.machine(), internet=_internet(names=names))


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
        *_among((AF_INET, AF_INET6), errno.EAFNOSUPPORT),
        *(_argument(1), _op(AND, KIND_MASK), *_among(kinds, errno.EPROTONOSUPPORT)),
        *(_argument(2), *_among(protocols, errno.EPROTONOSUPPORT)),
    ]
    return [_argument(0), _op(JUMP_EQ, AF_NETLINK, len(of_internet), 0), *of_internet]


def _alone(column: int) -> list[bytes]:
    """The steps that leave a process its own limits and priority, and nobody else's."""
    steps: list[bytes] = []
    for name, (whose, users) in OF_OTHERS.items():
        own = [_argument(whose), _op(JUMP_EQ, 0, 1, 0), _refuse(errno.EPERM)]
        if users is not None:
            own += [_argument(0), _op(JUMP_EQ, users, 0, 1), _refuse(errno.EPERM)]
        steps += _when(CALLS[name][column], own)
    return steps


def _arch(machine: str) -> tuple[int, int]:
    if machine not in ARCHITECTURES:
        raise Unsupported(f"there is no system call filter for {machine}; x86_64 and aarch64 have one")
    return ARCHITECTURES[machine]


def _head(arch: int, machine: str) -> list[bytes]:
    """The steps that end a process whose calls are of another architecture, and load the number."""
    steps = [_op(LOAD, ARCH_AT), _op(JUMP_EQ, arch, 1, 0), _op(RETURN, KILL), _op(LOAD, NR_AT)]
    if machine == "x86_64":
        steps += [_op(JUMP_GE, X32, 0, 1), _op(RETURN, KILL)]
    return steps


def _program(denied: list[str], machine: str, *, listed: bool = False, internet: list[bytes] | None = None) -> bytes:
    """listed: nothing but what is listed is allowed, and memory is frozen."""
    arch, column = _arch(machine)
    steps = _head(arch, machine)
    for name in denied:
        steps += _when(CALLS[name][column], [_refuse(errno.EPERM)])
    # glibc falls back to clone, whose flags can be looked at.
    steps += _when(CALLS["clone3"][column], [_refuse(errno.ENOSYS)])
    steps += _when(CALLS["clone"][column], [_argument(0), _op(JUMP_ANY_BIT, NAMESPACES, 0, 1), _refuse(errno.EPERM)])
    steps += _alone(column)
    steps += _modes(column)
    if listed:
        steps += _frozen_memory(column)
        steps += _files(column)
    else:
        steps += _when(CALLS["fcntl"][column], _none_of(1, OF_OWNERS))
        steps += _when(CALLS["ioctl"][column], _none_of(1, CHANGING))
    if internet:
        steps += _when(CALLS["socket"][column], internet)
        # What is sent with the call that connects would not be asked of Landlock.
        for name, flags in OF_SENDING.items():
            early = [_argument(flags), _op(JUMP_ANY_BIT, MSG_FASTOPEN, 0, 1), _refuse(errno.EPERM)]
            steps += _when(CALLS[name][column], early)
    if listed:
        looked_at = [CALLS[name][column] for name in SPECIAL if name not in denied]
        for number in (*allowed_calls.numbers(column), *looked_at):
            if number >= 0:
                steps += [_op(JUMP_EQ, number, 0, 1), _op(RETURN, ALLOW)]
        return b"".join([*steps, _refuse(errno.ENOSYS)])
    return b"".join([*steps, _op(RETURN, ALLOW)])


def _frozen_memory(column: int) -> list[bytes]:
    """The steps by which only what is mapped from a file, for this process alone, is run, and stays what it is."""
    shared = [_op(JUMP_ANY_BIT, EXEC, 0, 3), _argument(3), _op(JUMP_ANY_BIT, SHARED_OR_ANONYMOUS, 0, 1)]
    both = [_argument(2), _op(AND, WRITE_AND_EXEC), _op(JUMP_EQ, WRITE_AND_EXEC, 0, 1), _refuse(errno.EPERM)]
    steps = _when(CALLS["mmap"][column], [*both, *shared, _refuse(errno.EPERM)])
    for name in OF_MEMORY[1:]:
        steps += _when(CALLS[name][column], [_argument(2), _op(JUMP_ANY_BIT, EXEC, 0, 1), _refuse(errno.EPERM)])
    return steps


def _modes(column: int) -> list[bytes]:
    """The steps that let no file have the rights of its user or group given to whoever runs it."""
    steps: list[bytes] = []
    for name, (mode, flags) in OF_MODES.items():
        bits = [_argument(mode), _op(JUMP_ANY_BIT, SET_USER_OR_GROUP, 0, 1), _refuse(errno.EPERM)]
        makes = [] if flags is None else [_argument(flags), _op(JUMP_ANY_BIT, MAKES_A_FILE, 0, len(bits))]
        steps += _when(CALLS[name][column], [*makes, *bits])
    return steps


def _files(column: int) -> list[bytes]:
    """The steps for what is done to descriptors: nobody is signalled, nothing locked, no room taken beforehand."""
    of_flags = [
        *(_argument(1), _op(JUMP_EQ, SET_FLAGS, 0, 3)),
        *(_argument(2), _op(JUMP_ANY_BIT, SIGNAL_FLAG, 0, 1), _refuse(errno.EPERM)),
    ]
    commands = [_argument(1), *_among(OF_DESCRIPTORS, errno.EPERM)]
    # glibc writes the room instead.
    room = [
        *(_argument(1), _op(JUMP_EQ, FALLOCATE, 1, 0), _op(JUMP_EQ, PUNCH_HOLE, 0, 1), _refuse(errno.EOPNOTSUPP)),
        _refuse(errno.EPERM),
    ]
    return [
        *_when(CALLS["fcntl"][column], [*of_flags, *commands]),
        *_when(CALLS["ioctl"][column], [*_none_of(1, CHANGING), *_among(ASKING, errno.ENOTTY)]),
        *_when(CALLS["flock"][column], [_refuse(errno.EPERM)]),
        *_when(CALLS["fallocate"][column], room),
    ]


def _none_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    """Go on if the argument is none of them."""
    last = len(values) - 1
    return [
        _argument(argument),
        *(_op(JUMP_EQ, value, last - at, 0 if at < last else 1) for at, value in enumerate(values)),
        _refuse(errno.EPERM),
    ]


def _among(values: tuple[int, ...], error: int) -> list[bytes]:
    """Go on if what is loaded is one of them."""
    last = len(values)
    return [*(_op(JUMP_EQ, value, last - at, 0) for at, value in enumerate(values)), _refuse(error)]


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    """The steps for one call; the number is loaded again after them."""
    if number < 0:
        return []
    return [_op(JUMP_EQ, number, 0, len(steps) + 1), *steps, _op(LOAD, NR_AT)]


def _argument(index: int) -> bytes:
    return _op(LOAD, ARGUMENTS_AT + 8 * index)


def _refuse(error: int) -> bytes:
    return _op(RETURN, ERRNO | error)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
