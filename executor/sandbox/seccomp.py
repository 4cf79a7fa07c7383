"""Seccomp: which system calls a process may not make. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Law: the filter is a function of the machine and of what is asked for. A call of another architecture ends the process;
a denied call is EPERM, so that programs go on and say so; what is not denied is allowed, and Landlock governs its paths.
"""

import ctypes
import errno
import os
import platform
import struct

from executor.sandbox.landlock import LIBC
from executor.sandbox.system_calls import CALLS, OF_MEMORY, OF_NETWORK, OF_OTHERS, OF_SENDING, OF_SIGNALS, SPECIAL

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 65, 1
LOAD, JUMP_EQ, JUMP_GE, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH_AT, NR_AT, ARGUMENTS_AT = 4, 0, 16
X32 = 0x40000000
NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
WRITE_AND_EXEC = 6
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
    return _program(denied, machine or platform.machine(), frozen_memory=True)


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


def _program(
    denied: list[str],
    machine: str,
    *,
    frozen_memory: bool = False,
    internet: list[bytes] | None = None,
) -> bytes:
    if machine not in ARCHITECTURES:
        raise Unsupported(f"there is no system call filter for {machine}; x86_64 and aarch64 have one")
    arch, column = ARCHITECTURES[machine]
    steps = [_op(LOAD, ARCH_AT), _op(JUMP_EQ, arch, 1, 0), _op(RETURN, KILL), _op(LOAD, NR_AT)]
    if machine == "x86_64":
        steps += [_op(JUMP_GE, X32, 0, 1), _op(RETURN, KILL)]
    for name in denied:
        steps += [_op(JUMP_EQ, CALLS[name][column], 0, 1), _refuse(errno.EPERM)]
    # glibc falls back to clone, whose flags can be looked at.
    steps += [_op(JUMP_EQ, CALLS["clone3"][column], 0, 1), _refuse(errno.ENOSYS)]
    steps += _when(CALLS["clone"][column], [_argument(0), _op(JUMP_ANY_BIT, NAMESPACES, 0, 1), _refuse(errno.EPERM)])
    if frozen_memory:
        for name in OF_MEMORY:
            both = [_argument(2), _op(AND, WRITE_AND_EXEC), _op(JUMP_EQ, WRITE_AND_EXEC, 0, 1), _refuse(errno.EPERM)]
            steps += _when(CALLS[name][column], both)
    steps += _alone(column)
    if internet:
        steps += _when(CALLS["socket"][column], internet)
        # What is sent with the call that connects would not be asked of Landlock.
        for name, flags in OF_SENDING.items():
            early = [_argument(flags), _op(JUMP_ANY_BIT, MSG_FASTOPEN, 0, 1), _refuse(errno.EPERM)]
            steps += _when(CALLS[name][column], early)
    return b"".join([*steps, _op(RETURN, ALLOW)])


def _among(values: tuple[int, ...], error: int) -> list[bytes]:
    """Go on if what is loaded is one of them."""
    last = len(values)
    return [*(_op(JUMP_EQ, value, last - at, 0) for at, value in enumerate(values)), _refuse(error)]


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    """The steps for one call; the number is loaded again after them."""
    return [_op(JUMP_EQ, number, 0, len(steps) + 1), *steps, _op(LOAD, NR_AT)]


def _argument(index: int) -> bytes:
    return _op(LOAD, ARGUMENTS_AT + 8 * index)


def _refuse(error: int) -> bytes:
    return _op(RETURN, ERRNO | error)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
