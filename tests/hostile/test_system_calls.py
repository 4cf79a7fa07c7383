"""System calls that no command may make: each is made by a program that does nothing else.

Law: what the filter must stop is told apart from what the kernel refuses anyway: without the filter each of them comes to
something else than a denial, if only to another error.
"""

import platform
import struct

import pytest

from tests.hostile.attack import Attack, call
from tests.hostile.conftest import Unfenced
from tests.hostile.machine import AT, NOWHERE, ROOM
from tests.tools import Tools

pytestmark = [
    pytest.mark.attack("System calls"),
    pytest.mark.xdist_group("hostile"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacker's program is of x86-64"),
]

NEW_USER = 0x10000000
BAD_FLAG = 1 << 30
# No shared memory, queue or semaphore has this id.
NONE_SUCH = 1 << 24


def executor(tools: Tools) -> int:
    """Whom the calls on other processes are about."""
    return tools.program.pid


# By the numbers of x86-64; flags and pointers that can't be right where the call is looked at before its caller is.
CALLS: dict[str, Attack] = {
    "ptrace": call(101, 0),
    "process_vm_readv": call(310, executor, 0, 0, 0, 0, 1),
    "process_vm_writev": call(311, executor, 0, 0, 0, 0, 1),
    "pidfd_open": call(434, executor, 0),
    "pidfd_getfd": call(438, -1, 0, 1),
    "kcmp": call(312, -1, -1, 0),
    "keyctl": call(250, 0, -3, 1),
    "add_key": call(248, b"user\0", b"x\0", b"y", 1, -3),
    "request_key": call(249, b"user\0", b"none\0", 0, 0),
    "io_uring_setup": call(425, 1, NOWHERE),
    "io_uring_enter": call(426, -1, 0, 0, 0),
    "io_uring_register": call(427, -1, 0, 0, 0),
    "bpf": call(321, 0, NOWHERE, 1 << 20),
    "userfaultfd": call(323, 1),
    "perf_event_open": call(298, NOWHERE, 0, -1, -1, BAD_FLAG),
    "memfd_create": call(319, b"x\0", 0),
    "execveat": call(322, -1, NOWHERE, 0, 0, BAD_FLAG),
    "personality": call(135, 0xFFFFFFFF),
    "unshare": call(272, 1),
    "setns": call(308, -1, 0),
    "clone with a namespace": call(56, NEW_USER | 0x200),
    "mount": call(165, 0, 0, NOWHERE, 0, 0),
    "umount2": call(166, NOWHERE, BAD_FLAG),
    "chroot": call(161, NOWHERE),
    "open_tree": call(428, -1, NOWHERE, BAD_FLAG),
    "fsconfig": call(431, -1, 0, 0, 0, 0),
    "mount_setattr": call(442, -1, NOWHERE, BAD_FLAG, 0, 0),
    "name_to_handle_at": call(303, -1, NOWHERE, 0, 0, BAD_FLAG),
    "shmget": call(29, 0, 0, 0),
    "shmat": call(30, NONE_SUCH, 0, 0),
    "shmctl": call(31, NONE_SUCH, 0, 0),
    "msgget": call(68, 4711, 0),
    "msgsnd": call(69, NONE_SUCH, NOWHERE, 1, 0),
    "msgrcv": call(70, NONE_SUCH, AT, 1, 0, 0),
    "msgctl": call(71, NONE_SUCH, 0, 0),
    "semget": call(64, 4711, 0, 0),
    "semop": call(65, NONE_SUCH, AT, 1),
    "semctl": call(66, NONE_SUCH, 0, 0, 0),
    "mq_open": call(240, b"none\0", 0, 0, 0),
    "mq_unlink": call(241, b"none\0"),
    "inotify_init1": call(294, 0),
    "a call by its number of x32": call(39 | 1 << 30, denials=()),
    "a call by its number of 32 bits": call(20, program="syscaller32"),
    "memory both written and run": call(9, 0, 4096, 7, 0x22, -1, 0),
    "memory run after it was written": call(10, AT + ROOM, ROOM, 5),
    "memory written after it was run": call(10, AT, 4096, 7),
    "pkey_mprotect": call(329, AT, 4096, 7, -1),
    "a TCP socket": call(41, 2, 1, 0),
    "a UDP socket": call(41, 2, 2, 0),
    "an IPv6 socket": call(41, 10, 1, 0),
    "an MPTCP socket": call(41, 2, 1, 262),
    "a Unix socket": call(41, 1, 1, 0),
    "a netlink socket": call(41, 16, 3, 0),
    "a vsock socket": call(41, 40, 1, 0),
    "a socket of the kernel's ciphers": call(41, 38, 5, 0),
    "a pair of sockets": call(53, 1, 1, 0, AT),
    "connect": call(42, -1, 0, 0),
    "bind": call(49, -1, 0, 0),
    "another's limits": call(302, executor, 7, 0, AT),
    "another's priority": call(141, 0, executor, 5),
    "the priority of all of the user's": call(141, 2, 0, 5),
    "another's input and output priority": call(251, 1, executor, 2 << 13 | 7),
    "the input and output priority of all of the user's": call(251, 3, 0, 2 << 13 | 7),
    "another's processors": call(203, executor, 8, b"\xff" * 8),
    "another's scheduler": call(144, executor, 3, bytes(4)),
    "another's scheduling": call(142, executor, bytes(4)),
    "another's scheduling attributes": call(314, executor, struct.pack("<IIQi28x", 48, 0, 0, 5), 0),
    "a signal": call(62, executor, 0, down=("landlock",)),
    "a signal to a thread": call(200, executor, 0, down=("landlock",)),
    "a signal to a thread of a group": call(234, executor, executor, 0, down=("landlock",)),
    "a signal with a value": call(129, executor, 0, struct.pack("<iii116x", 0, 0, -1), down=("landlock",)),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_system_call_is_denied(tools: Tools, name: str):
    """By the filter, or by Landlock where that knows whose process is meant."""
    assert not await CALLS[name].attempt(tools)


@pytest.mark.control
@pytest.mark.parametrize("name", CALLS)
async def test_without_its_defence_the_kernel_looks_at_the_call(unfenced: Unfenced, name: str):
    """So that the other test shows something."""
    attack = CALLS[name]
    assert await attack.attempt(await unfenced(attack.down))


@pytest.mark.control
async def test_the_attackers_own_limits_are_its_to_set(tools: Tools):
    """Programs do so, and nobody else is touched."""
    for own in (call(302, 0, 7, 0, AT), call(141, 0, 0, 1), call(203, 0, 8, b"\xff" * 8)):
        assert await own.attempt(tools)
