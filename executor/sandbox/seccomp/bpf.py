"""Encodes the steps of a system call filter, in classic BPF. Pure. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: between the steps for two calls, the number of the call is loaded.
"""

import errno
import platform
import struct

LOAD, JUMP_EQ, JUMP_GE, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH_OFFSET, NR_OFFSET, ARGUMENTS_OFFSET = 4, 0, 16
X32_BIT = 0x40000000
# AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


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
