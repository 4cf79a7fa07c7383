"""Programs of the attacker's own, down to the single system call: ELF files of x86-64, made here byte by byte.

Invariants: they need no library and no loader, so that nothing but the sandbox stands between them and the kernel.
"""

import struct
from collections.abc import Sequence

BASE = 0x10000
# Where the instructions come to lie: the call's number, its six arguments, then whatever they point to.
AT = 0x20000
DATA = AT + 56
ROOM = 4096
# Nothing lies there: a pointer that no call can follow.
NOWHERE = 1

_HEADER = 0x40 + 2 * 0x38


def elf(code: bytes) -> bytes:
    """A static program whose code is this, with two pages to write at AT."""
    size = _HEADER + len(code)
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, BASE + _HEADER, 0x40, 0, 0, 0x40, 0x38, 2, 0, 0, 0
    )
    text = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    data = struct.pack("<IIQQQQQQ", 1, 6, 0, AT, AT, 0, 2 * ROOM, 0x1000)
    return head + text + data + code


def _move(register: bytes, value: int) -> bytes:
    return register + struct.pack("<I", value)


EAX, EDI, ESI, EDX = b"\xb8", b"\xbf", b"\xbe", b"\xba"
SYSCALL = b"\x0f\x05"
# mov rax/rdi/rsi/rdx/r10/r8/r9, [AT + …]
LOADS = [
    bytes.fromhex(each) for each in ["488b0425", "488b3c25", "488b3425", "488b1425", "4c8b1425", "4c8b0425", "4c8b0c25"]
]
STORE = b"\x48\x89\x04\x25"

OF_32_BITS = b"\xcd\x80"


def caller(entry: bytes = SYSCALL) -> bytes:
    """A program that makes the one call that it reads, and writes what it came to. entry: how the kernel is entered."""
    read = _move(EAX, 0) + _move(EDI, 0) + _move(ESI, AT) + _move(EDX, ROOM) + SYSCALL
    call = b"".join(load + struct.pack("<I", AT + 8 * index) for index, load in enumerate(LOADS)) + entry
    write = STORE + struct.pack("<I", AT) + _move(EAX, 1) + _move(EDI, 1) + _move(ESI, AT) + _move(EDX, 8) + SYSCALL
    return elf(read + call + write + _move(EAX, 60) + _move(EDI, 0) + SYSCALL)


def build_call(number: int, arguments: Sequence[int | bytes]) -> bytes:
    """What `caller` reads to make a call. Bytes as an argument are laid into its memory, and their address given."""
    numbers, data = [number], b""
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        if isinstance(argument, bytes):
            numbers.append(DATA + len(data))
            data += argument
        else:
            numbers.append(argument & (1 << 64) - 1)
    return struct.pack("<7Q", *numbers) + data


def result(output: bytes) -> int:
    """What the call came to: minus the error's number, if it failed."""
    return struct.unpack("<q", output)[0]


# Says THROUGH; every byte of it is ASCII, so that it can be sent wherever text can.
THROUGH = b"it went through"


def spoken() -> bytes:
    """A program that says THROUGH and can be sent as text."""
    words = 0x100
    head = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, BASE + 0x78, 0x40, 0, 0, 0x40, 0x38, 1, 0, 0, 0
    )
    text = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, 0x200, 0x200, 0x1000)
    # push and pop: what moves numbers in ASCII.
    code = (
        b"\x6a\x01\x58\x6a\x01\x5f\x68" + struct.pack("<I", BASE + words) + b"\x5e\x6a" + bytes([len(THROUGH)])
        + b"\x5a\x0f\x05\x6a\x3c\x58\x6a\x00\x5f\x0f\x05"
    )  # fmt: skip
    return (head + text + code).ljust(words, b"\0") + THROUGH.ljust(0x100, b"\0")
