"""Builds the steps of a system call filter, in classic BPF. Pure. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: between the steps for two calls, the number of the call is loaded. A call whose arguments are rejected fails with
an error; it never ends the process. Each function that ends in `_steps` returns the steps for its calls only, so that their
order does not matter.
"""

import errno
import mmap
import os
import platform
import socket
import stat
import struct

from executor.sandbox.seccomp.system_calls import (
    ALLOWED_FCNTL_COMMANDS,
    ALLOWED_IOCTLS,
    CALLS,
    DENIED_IOCTLS,
    F_SETFL,
    MEMORY_CALLS,
    MODE_ARGUMENTS,
    O_ASYNC,
    OTHER_PROCESS_CALLS,
    SEND_FLAG_ARGUMENTS,
)

LOAD, JUMP_EQ, JUMP_GE, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH_OFFSET, NR_OFFSET, ARGUMENTS_OFFSET = 4, 0, 16
X32_BIT = 0x40000000
# AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
WRITE_AND_EXEC = mmap.PROT_WRITE | mmap.PROT_EXEC
CREATE_FLAGS = os.O_CREAT | 0x400000  # __O_TMPFILE
# fallocate(2): the modes that reserve and that free space.
FALLOCATE, PUNCH_HOLE = 0, 3
SOCKET_TYPE_MASK = 0xF


def check_architecture() -> list[bytes]:
    """Builds the steps that end a process with calls of another architecture, and then load the number."""
    machine = platform.machine()
    steps = [
        encode_instruction(LOAD, ARCH_OFFSET),
        encode_instruction(JUMP_EQ, ARCHITECTURES[machine], 1, 0),
        encode_instruction(RETURN, KILL),
        encode_instruction(LOAD, NR_OFFSET),
    ]
    if machine == "x86_64":
        steps += [encode_instruction(JUMP_GE, X32_BIT, 0, 1), encode_instruction(RETURN, KILL)]
    return steps


def reject_bits(index: int, bits: int) -> list[bytes]:
    """Builds the steps that continue if the argument has none of the bits."""
    return [load_argument(index), encode_instruction(JUMP_ANY_BIT, bits, 0, 1), return_error(errno.EPERM)]


def reject_values(index: int, values: tuple[int, ...]) -> list[bytes]:
    """Builds the steps that continue if the argument is none of the values."""
    last = len(values) - 1
    return [
        load_argument(index),
        *(encode_instruction(JUMP_EQ, value, last - at, 0 if at < last else 1) for at, value in enumerate(values)),
        return_error(errno.EPERM),
    ]


def require_values(values: tuple[int, ...], error: int) -> list[bytes]:
    """Builds the steps that continue if the loaded value is one of the values."""
    last = len(values)
    return [*(encode_instruction(JUMP_EQ, value, last - at, 0) for at, value in enumerate(values)), return_error(error)]


def match_call(number: int, steps: list[bytes]) -> list[bytes]:
    """Builds the steps for one call; the number is loaded again after them."""
    if number < 0:
        return []
    return [encode_instruction(JUMP_EQ, number, 0, len(steps) + 1), *steps, encode_instruction(LOAD, NR_OFFSET)]


def load_argument(index: int) -> bytes:
    return encode_instruction(LOAD, ARGUMENTS_OFFSET + 8 * index)


def return_error(error: int) -> bytes:
    return encode_instruction(RETURN, ERRNO | error)


def encode_instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def build_socket_steps(*, dns: bool) -> list[bytes]:
    """Builds the steps for `socket`: TCP over IP, and UDP too if `dns`; also netlink, which lists the machine's addresses."""
    kinds, protocols = (socket.SOCK_STREAM,), (0, socket.IPPROTO_TCP)
    if dns:
        kinds, protocols = (*kinds, socket.SOCK_DGRAM), (*protocols, socket.IPPROTO_UDP)
    internet = [
        *require_values((socket.AF_INET, socket.AF_INET6), errno.EAFNOSUPPORT),
        *(load_argument(1), encode_instruction(AND, SOCKET_TYPE_MASK), *require_values(kinds, errno.EPROTONOSUPPORT)),
        *(load_argument(2), *require_values(protocols, errno.EPROTONOSUPPORT)),
    ]
    return [load_argument(0), encode_instruction(JUMP_EQ, socket.AF_NETLINK, len(internet), 0), *internet]


def build_own_process_steps() -> list[bytes]:
    """Builds the steps that let a process change its own limits and priority, and no other process's."""
    steps: list[bytes] = []
    for name, (target, user_kind) in OTHER_PROCESS_CALLS.items():
        own = [load_argument(target), encode_instruction(JUMP_EQ, 0, 1, 0), return_error(errno.EPERM)]
        if user_kind is not None:
            own += [load_argument(0), encode_instruction(JUMP_EQ, user_kind, 0, 1), return_error(errno.EPERM)]
        steps += match_call(CALLS[name], own)
    return steps


def build_memory_steps() -> list[bytes]:
    """Builds the steps that allow executable memory only as a private mapping of a file that is not writable.

    Memory can't be made executable later.
    """
    steps = match_call(
        CALLS["mmap"],
        [
            load_argument(2),
            encode_instruction(AND, WRITE_AND_EXEC),
            encode_instruction(JUMP_EQ, WRITE_AND_EXEC, 0, 1),
            return_error(errno.EPERM),
            encode_instruction(JUMP_ANY_BIT, mmap.PROT_EXEC, 0, 3),
            *reject_bits(3, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS),
        ],
    )
    for name in MEMORY_CALLS[1:]:
        steps += match_call(CALLS[name], reject_bits(2, mmap.PROT_EXEC))
    return steps


def build_mode_steps() -> list[bytes]:
    """Builds the steps that deny the set-user-id and set-group-id bits of files."""
    steps: list[bytes] = []
    for name, (mode, flags) in MODE_ARGUMENTS.items():
        check = reject_bits(mode, stat.S_ISUID | stat.S_ISGID)
        if flags is not None:
            check = [load_argument(flags), encode_instruction(JUMP_ANY_BIT, CREATE_FLAGS, 0, len(check)), *check]
        steps += match_call(CALLS[name], check)
    return steps


def build_descriptor_steps() -> list[bytes]:
    """Builds the steps for calls on descriptors: they deny signals to processes, locks, and reserving space."""
    commands = [
        *(load_argument(1), encode_instruction(JUMP_EQ, F_SETFL, 0, 3)),
        *reject_bits(2, O_ASYNC),
        *(load_argument(1), *require_values(ALLOWED_FCNTL_COMMANDS, errno.EPERM)),
    ]
    # glibc then writes the space instead.
    space = [
        load_argument(1),
        encode_instruction(JUMP_EQ, FALLOCATE, 1, 0),
        encode_instruction(JUMP_EQ, PUNCH_HOLE, 0, 1),
        return_error(errno.EOPNOTSUPP),
        return_error(errno.EPERM),
    ]
    properties = [*reject_values(1, DENIED_IOCTLS), *require_values(ALLOWED_IOCTLS, errno.ENOTTY)]
    return [
        *match_call(CALLS["fcntl"], commands),
        *match_call(CALLS["ioctl"], properties),
        *match_call(CALLS["flock"], [return_error(errno.EPERM)]),
        *match_call(CALLS["fallocate"], space),
    ]


def build_send_steps() -> list[bytes]:
    """Builds the steps that deny TCP Fast Open, since Landlock does not check its connections."""
    checks = ((CALLS[name], reject_bits(flags, socket.MSG_FASTOPEN)) for name, flags in SEND_FLAG_ARGUMENTS.items())
    return [step for number, check in checks for step in match_call(number, check)]
