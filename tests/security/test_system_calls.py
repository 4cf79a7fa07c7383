"""System calls that no command may make: each is made by a program that does nothing else.

Invariants: what the filter must stop is told apart from what the kernel refuses anyway: without the filter each of them comes to
something else than a denial, if only to another error.
"""

import platform
import struct

import pytest

from tests.security.attack import DENIALS, Argument, Attack, call
from tests.security.conftest import Unfenced
from tests.security.machine import AT, NOWHERE, ROOM
from tests.support.tools import ToolsProgram

pytestmark = [
    pytest.mark.attack("System calls"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacker's program is of x86-64"),
]

NEW_USER = 0x10000000
BAD_FLAG = 1 << 30
# No shared memory, queue or semaphore has this id.
NONE_SUCH = 1 << 24


def executor(tools: ToolsProgram) -> int:
    """Whom the calls on other processes are about."""
    return tools.program.pid


def made(name: str) -> Argument:
    """A path where a job may make something."""
    return lambda tools: f"{tools.writable}/{name}\0".encode()


def signal_call(number: int, *arguments: Argument) -> Attack:
    """One that signals the executor, which is in no namespace of the job's: it is not there for it, or not its to signal."""
    return call(number, *arguments, down=("landlock", "mounts"), denials=(*DENIALS, -3))


# What file locks are asked for by: a shared one, on all of it.
READ_LOCK = struct.pack("hhiqqi", 0, 0, 0, 0, 0, 0)

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
    "a signal": signal_call(62, executor, 0),
    "a signal to a thread": signal_call(200, executor, 0),
    "a signal to a thread of a group": signal_call(234, executor, executor, 0),
    "a signal with a value": signal_call(129, executor, 0, struct.pack("<iii116x", 0, 0, -1)),
    "a signal with a value to a thread": signal_call(297, executor, executor, 0, struct.pack("<iii116x", 0, 0, -1)),
    "the owner of a descriptor": call(72, 0, 8, 1),
    "the group that owns a descriptor": call(72, 0, 8, -1),
    "the thread that owns a descriptor": call(72, 0, 15, struct.pack("ii", 0, 1)),
    "the signal of a descriptor": call(72, 0, 10, 9),
    "signals about a folder": call(72, 0, 1026, 1),
    "signals about a descriptor": call(72, 0, 4, 0x2000),
    "the owner of a descriptor, by FIOSETOWN": call(16, 0, 0x8901, AT),
    "the owner of a descriptor, by SIOCSPGRP": call(16, 0, 0x8902, AT),
    "signals about a descriptor, by FIOASYNC": call(16, 0, 0x5452, AT),
    "what a terminal would read": call(16, 0, 0x5412, AT),
    "a lock on a file to read": call(73, 0, 2),
    "a lock on a part of a file to read": call(72, 0, 6, READ_LOCK),
    "a lock on a part of an open file to read": call(72, 0, 37, READ_LOCK),
    "room beyond a file's end": call(285, -1, 1, 0, 1 << 40),
    "zeros beyond a file's end": call(285, -1, 0x11, 0, 1 << 40),
    "room for a file": call(285, -1, 0, 0, 1 << 40, denials=(-95,)),
    "a file of its user's rights, by open": call(2, made("open"), 0o101, 0o4755),
    "a file of its group's rights, by openat": call(257, -100, made("openat"), 0o101, 0o2755),
    "a file of its user's rights without a name": call(257, -100, made(""), 0o20200000 | 2, 0o4755),
    "a file of its user's rights, by openat2": call(437, -1, NOWHERE, AT, 24),
    "a file of its user's rights, by creat": call(85, made("creat"), 0o4755),
    "a folder of its group's rights": call(83, made("mkdir"), 0o2755),
    "a folder of its group's rights, by mkdirat": call(258, -100, made("mkdirat"), 0o2755),
    "a file of its user's rights, by mknod": call(133, made("mknod"), 0o104755, 0),
    "a file of its user's rights, by mknodat": call(259, -100, made("mknodat"), 0o104755, 0),
    "the user's rights, by chmod": call(90, NOWHERE, 0o4755),
    "the group's rights, by fchmod": call(91, -1, 0o2755),
    "the user's rights, by fchmodat": call(268, -1, NOWHERE, 0o6755),
    "the user's rights, by fchmodat2": call(452, -1, NOWHERE, 0o4755, 0),
    "memory of no file, to run": call(9, 0, 4096, 5, 0x22, -1, 0),
    "shared memory, to run": call(9, 0, 4096, 5, 0x21, -1, 0),
    "pages of a file in another order": call(216, AT, 4096, 0, 0, 0),
    "input and output of the kernel's own": call(206, 1, NOWHERE),
    "a table of mounts": call(457, NOWHERE, NOWHERE, 0, 0),
    "a file system's quota": call(443, -1, 0, 0, 0),
    "memory of another process, advised": call(440, -1, NOWHERE, 1, 0, 0),
}


@pytest.mark.parametrize("name", CALLS)
async def test_a_system_call_is_denied(tools: ToolsProgram, name: str):
    """By the filter, or by Landlock where that knows whose process is meant."""
    assert not await CALLS[name].attempt(tools)


@pytest.mark.slow
@pytest.mark.control
@pytest.mark.parametrize("name", CALLS)
async def test_without_its_defence_the_kernel_looks_at_the_call(unfenced: Unfenced, name: str):
    """So that the other test shows something."""
    attack = CALLS[name]
    assert await attack.attempt(await unfenced(attack.down))


@pytest.mark.control
async def test_the_attackers_own_limits_are_its_to_set(tools: ToolsProgram):
    """Programs do so, and nobody else is touched."""
    for own in (call(302, 0, 7, 0, AT), call(141, 0, 0, 1), call(203, 0, 8, b"\xff" * 8)):
        assert await own.attempt(tools)


@pytest.mark.control
async def test_files_and_descriptors_are_the_attackers_to_use(tools: ToolsProgram):
    """With usual modes, flags and questions."""
    for name, own in {
        "open": call(2, made("own-open"), 0o101, 0o755),
        "read only, with a mode that means nothing": call(2, made("own-open"), 0, 0o4755),
        "mkdir": call(83, made("own-mkdir"), 0o755),
        "chmod": call(90, made("own-open"), 0o1700),
        "flags": call(72, 0, 4, 0o4000),
        "copy": call(72, 0, 1030, 3),
        "what can be read": call(16, 0, 0x541B, AT),
    }.items():
        assert await own.attempt(tools), name
