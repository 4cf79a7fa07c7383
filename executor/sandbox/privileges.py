"""Drops the rights of a process: from root to a user who owns nothing, without any capability.

Invariants: after `drop_privileges` this process is not root, in no other group, without capabilities, and nothing it starts can gain any.
"""

import ctypes
import os
import pwd
import struct

from executor.sandbox.libc import LIBC, check_call, forbid_new_privileges

CAPABILITY_VERSION = 0x20080522


class PrivilegeError(Exception):
    """Root can't be dropped; the message names the fix."""


class User:
    """A user by number. Never root."""

    def __init__(self, name: str) -> None:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise PrivilegeError(f"TOOLS_USER: there is no user {name}. Make one, or set TOOLS_USER=nobody.") from None
        if entry.pw_uid == 0:
            raise PrivilegeError(
                "TOOLS_USER: the tools never run as root. Set TOOLS_USER to another user, such as nobody."
            )
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid

    def __repr__(self) -> str:
        return f"<User {self.name}>"


def drop_privileges(user: User | None) -> None:
    """Becomes the user, if this is root, and gives up every capability. Raises PrivilegeError."""
    try:
        if user:
            os.setgroups([])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        drop_capabilities()
    except OSError as error:
        raise PrivilegeError(
            f"TOOLS_USER: root can't be dropped: {error.strerror}. Start the tools executor as an ordinary user."
        ) from error
    if 0 in (*os.getresuid(), *os.getresgid()):
        raise PrivilegeError(
            "TOOLS_USER: the tools never run as root or in root's group. Start them as an ordinary user."
        )


def drop_capabilities() -> None:
    """Gives up every capability, also for programs that this process starts. Raises OSError."""
    forbid_new_privileges()
    # A supervisor that left no capability may have forbidden the call too.
    if has_capabilities():
        check_call(LIBC.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), bytes(24)))


def has_capabilities() -> bool:
    """Whether this process has, or may take, a capability. Raises OSError."""
    # capget(2): the effective, permitted and inheritable sets, 64 bits each.
    sets = ctypes.create_string_buffer(24)
    check_call(LIBC.capget(struct.pack("Ii", CAPABILITY_VERSION, 0), sets))
    return any(sets.raw)
