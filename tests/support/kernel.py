"""A kernel, or a supervisor, that refuses some system calls: for this process and all that it starts."""

import struct
from collections.abc import Iterable

from executor.sandbox.libc import forbid_new_privileges
from executor.sandbox.seccomp import filters, steps


def refuse_calls(numbers: Iterable[int], error: int) -> None:
    """Answer these calls with this error from now on; there is no way back. Raises OSError."""
    program = [(steps.LOAD, 0, 0, steps.NR_OFFSET)]
    for number in numbers:
        program += [(steps.JUMP_EQ, 0, 1, number), (steps.RETURN, 0, 0, steps.ERRNO | error)]
    program.append((steps.RETURN, 0, 0, steps.ALLOW))
    forbid_new_privileges()
    filters.install(b"".join(struct.pack("=HBBI", *step) for step in program))
