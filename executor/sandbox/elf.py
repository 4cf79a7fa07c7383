"""Finds the files that a program needs to start: its loader and its libraries, as its own loader lists them.

Invariants: runs at the start only, for programs that the owner allows, never for a program that a client names.
"""

import os
import re
import struct
import subprocess
from pathlib import Path

from executor.sandbox.confine import Program

PROGRAM_INTERPRETER = 3


class NotAProgram(Exception):
    """The file can't be run by itself; the message says why."""


def resolve_program(path: str) -> Program:
    """Returns the program at this path. Raises NotAProgram."""
    real = os.path.realpath(path)
    loader = _read_loader(real)
    if not loader:
        return Program(real)
    listed = subprocess.run(
        [loader, "--list", real], capture_output=True, text=True, check=False, timeout=10, env={"LC_ALL": "C"}
    ).stdout
    libraries = {os.path.realpath(found) for found in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listed, re.MULTILINE)}
    return Program(real, os.path.realpath(loader), tuple(sorted(libraries)))


def _read_loader(path: str) -> str:
    """Returns PT_INTERP of a 64-bit little-endian ELF file (elf(5))."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(64)
            if head[:2] == b"#!":
                raise NotAProgram(f"{path} is a script, not the program that does the work")
            if head[:6] != b"\x7fELF\x02\x01":
                raise NotAProgram(f"{path} is not a program of this machine")
            at, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
            file.seek(at)
            table = file.read(size * count)
            for each in range(0, len(table), size):
                (kind,) = struct.unpack_from("<I", table, each)
                offset, length = *struct.unpack_from("<Q", table, each + 8), *struct.unpack_from("<Q", table, each + 32)
                if kind == PROGRAM_INTERPRETER:
                    file.seek(offset)
                    return file.read(length).rstrip(b"\0").decode()
    except OSError as error:
        raise NotAProgram(f"{path} can't be read: {error.strerror}") from error
    return ""
