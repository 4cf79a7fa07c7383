"""The steps of a filter of system calls: classic BPF. (https://docs.kernel.org/userspace-api/seccomp_filter.html)

Invariants: pure. Between the steps of two calls the number of the call is loaded.
"""

import errno
import struct

LOAD, JUMP_EQ, JUMP_GE, JUMP_ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH_AT, NR_AT, ARGUMENTS_AT = 4, 0, 16
X32 = 0x40000000


def head(arch: int, machine: str) -> list[bytes]:
    """The steps that end a process whose calls are of another architecture, and load the number."""
    steps = [op(LOAD, ARCH_AT), op(JUMP_EQ, arch, 1, 0), op(RETURN, KILL), op(LOAD, NR_AT)]
    if machine == "x86_64":
        steps += [op(JUMP_GE, X32, 0, 1), op(RETURN, KILL)]
    return steps


def none_of(index: int, values: tuple[int, ...]) -> list[bytes]:
    """Go on if the argument is none of them."""
    last = len(values) - 1
    return [
        argument(index),
        *(op(JUMP_EQ, value, last - at, 0 if at < last else 1) for at, value in enumerate(values)),
        refuse(errno.EPERM),
    ]


def among(values: tuple[int, ...], error: int) -> list[bytes]:
    """Go on if what is loaded is one of them."""
    last = len(values)
    return [*(op(JUMP_EQ, value, last - at, 0) for at, value in enumerate(values)), refuse(error)]


def when(number: int, steps: list[bytes]) -> list[bytes]:
    """The steps for one call; the number is loaded again after them."""
    if number < 0:
        return []
    return [op(JUMP_EQ, number, 0, len(steps) + 1), *steps, op(LOAD, NR_AT)]


def argument(index: int) -> bytes:
    return op(LOAD, ARGUMENTS_AT + 8 * index)


def refuse(error: int) -> bytes:
    return op(RETURN, ERRNO | error)


def op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
