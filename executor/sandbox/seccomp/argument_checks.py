"""Steps that check the arguments of system calls, for the filters of `filters`. Pure.

Invariants: a call whose arguments are rejected fails with an error; it never ends the process. Each function returns the
steps for its calls only, so that the order of the functions does not matter.
"""

import errno

from executor.sandbox.seccomp.bpf import (
    AND,
    JUMP_ANY_BIT,
    JUMP_EQ,
    encode_instruction,
    load_argument,
    match_call,
    reject_values,
    require_values,
    return_error,
)
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

EXEC, WRITE_AND_EXEC = 4, 6
SHARED_OR_ANONYMOUS = 0x21
SET_USER_OR_GROUP = 0o6000
CREATE_FLAGS = 0x40 | 0x400000  # O_CREAT, __O_TMPFILE
# fallocate(2): the modes that reserve and that free space.
FALLOCATE, PUNCH_HOLE = 0, 3
AF_INET, AF_INET6, AF_NETLINK = 2, 10, 16
STREAM, DATAGRAM, SOCKET_TYPE_MASK = 1, 2, 0xF
TCP, UDP = 6, 17
MSG_FASTOPEN = 0x20000000


def build_socket_steps(*, dns: bool) -> list[bytes]:
    """Builds the steps for `socket`: TCP over IP, and UDP too if `dns`; also netlink, which lists the machine's addresses."""
    kinds, protocols = ((STREAM, DATAGRAM), (0, TCP, UDP)) if dns else ((STREAM,), (0, TCP))
    internet = [
        *require_values((AF_INET, AF_INET6), errno.EAFNOSUPPORT),
        *(load_argument(1), encode_instruction(AND, SOCKET_TYPE_MASK), *require_values(kinds, errno.EPROTONOSUPPORT)),
        *(load_argument(2), *require_values(protocols, errno.EPROTONOSUPPORT)),
    ]
    return [load_argument(0), encode_instruction(JUMP_EQ, AF_NETLINK, len(internet), 0), *internet]


def build_own_process_steps(column: int) -> list[bytes]:
    """Builds the steps that let a process change its own limits and priority, and no other process's."""
    steps: list[bytes] = []
    for name, (target, user_kind) in OTHER_PROCESS_CALLS.items():
        own = [load_argument(target), encode_instruction(JUMP_EQ, 0, 1, 0), return_error(errno.EPERM)]
        if user_kind is not None:
            own += [load_argument(0), encode_instruction(JUMP_EQ, user_kind, 0, 1), return_error(errno.EPERM)]
        steps += match_call(CALLS[name][column], own)
    return steps


def build_memory_steps(column: int) -> list[bytes]:
    """Builds the steps that allow executable memory only as a private mapping of a file that is not writable.

    Memory can't be made executable later.
    """
    shared = [
        encode_instruction(JUMP_ANY_BIT, EXEC, 0, 3),
        load_argument(3),
        encode_instruction(JUMP_ANY_BIT, SHARED_OR_ANONYMOUS, 0, 1),
    ]
    both = [
        load_argument(2),
        encode_instruction(AND, WRITE_AND_EXEC),
        encode_instruction(JUMP_EQ, WRITE_AND_EXEC, 0, 1),
        return_error(errno.EPERM),
    ]
    steps = match_call(CALLS["mmap"][column], [*both, *shared, return_error(errno.EPERM)])
    for name in MEMORY_CALLS[1:]:
        steps += match_call(
            CALLS[name][column],
            [load_argument(2), encode_instruction(JUMP_ANY_BIT, EXEC, 0, 1), return_error(errno.EPERM)],
        )
    return steps


def build_mode_steps(column: int) -> list[bytes]:
    """Builds the steps that deny the set-user-id and set-group-id bits of files."""
    steps: list[bytes] = []
    for name, (mode, flags) in MODE_ARGUMENTS.items():
        bits = [
            load_argument(mode),
            encode_instruction(JUMP_ANY_BIT, SET_USER_OR_GROUP, 0, 1),
            return_error(errno.EPERM),
        ]
        creates = (
            []
            if flags is None
            else [load_argument(flags), encode_instruction(JUMP_ANY_BIT, CREATE_FLAGS, 0, len(bits))]
        )
        steps += match_call(CALLS[name][column], [*creates, *bits])
    return steps


def build_descriptor_steps(column: int) -> list[bytes]:
    """Builds the steps for calls on descriptors: they deny signals to processes, locks, and reserving space."""
    set_flags = [
        *(load_argument(1), encode_instruction(JUMP_EQ, F_SETFL, 0, 3)),
        *(load_argument(2), encode_instruction(JUMP_ANY_BIT, O_ASYNC, 0, 1), return_error(errno.EPERM)),
    ]
    commands = [load_argument(1), *require_values(ALLOWED_FCNTL_COMMANDS, errno.EPERM)]
    # glibc then writes the space instead.
    space = [
        *(
            load_argument(1),
            encode_instruction(JUMP_EQ, FALLOCATE, 1, 0),
            encode_instruction(JUMP_EQ, PUNCH_HOLE, 0, 1),
            return_error(errno.EOPNOTSUPP),
        ),
        return_error(errno.EPERM),
    ]
    return [
        *match_call(CALLS["fcntl"][column], [*set_flags, *commands]),
        *match_call(
            CALLS["ioctl"][column], [*reject_values(1, DENIED_IOCTLS), *require_values(ALLOWED_IOCTLS, errno.ENOTTY)]
        ),
        *match_call(CALLS["flock"][column], [return_error(errno.EPERM)]),
        *match_call(CALLS["fallocate"][column], space),
    ]


def build_send_steps(column: int) -> list[bytes]:
    """Builds the steps that deny TCP Fast Open, since Landlock does not check its connections."""
    steps: list[bytes] = []
    for name, flags in SEND_FLAG_ARGUMENTS.items():
        check = [load_argument(flags), encode_instruction(JUMP_ANY_BIT, MSG_FASTOPEN, 0, 1), return_error(errno.EPERM)]
        steps += match_call(CALLS[name][column], check)
    return steps
