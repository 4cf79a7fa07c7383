"""A kernel, or a supervisor, that refuses some system calls: for this process and all that it starts."""

import struct
from collections.abc import Iterable

from executor.sandbox.libc import forbid_new_privileges
from executor.sandbox.seccomp import bpf, filters


def refuse_calls(numbers: Iterable[int], error: int) -> None:
    """Answer these calls with this error from now on; there is no way back. Raises OSError."""
    steps = [(bpf.LOAD, 0, 0, bpf.NR_OFFSET)]
    for number in numbers:
        steps += [(bpf.JUMP_EQ, 0, 1, number), (bpf.RETURN, 0, 0, bpf.ERRNO | error)]
    steps.append((bpf.RETURN, 0, 0, bpf.ALLOW))
    forbid_new_privileges()
    filters.install(b"".join(struct.pack("=HBBI", *step) for step in steps))
