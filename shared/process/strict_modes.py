"""Checks that other users can't change a path, like `StrictModes` in sshd_config(5).

Invariants: every folder and link above a path, and the path itself, belongs to root or to this user, and no other user may
write to it. A folder above with the sticky bit, such as /tmp, is accepted: nobody can replace another user's files in it. A
path that does not exist yet is as safe as the folder that it will be created in.
"""

import errno
import functools
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

MAX_LINKS = 40
ACL_ATTRIBUTE = "system.posix_acl_access"
UID_MAP = Path("/proc/self/uid_map")
OVERFLOW_UID = Path("/proc/sys/kernel/overflowuid")


def find_problem(path: Path, *, any_owner: bool = False) -> str:
    """Returns why other users could change an absolute path, and the fix; empty if they can't.

    any_owner: the last part may belong to another user, if only that user may write to it.
    """
    try:
        steps = list(_walk(str(path)))
    except OSError as error:
        return f"{path} can't be followed: {error.strerror}. Set it to another folder."
    last = len(steps) - 1
    trusted = {0, os.geteuid()}
    for number, (step, facts) in enumerate(steps):
        if facts.st_uid not in trusted and not (any_owner if number == last else facts.st_uid in _list_unmapped_uids()):
            return (
                f"{step} belongs to {user_name(facts.st_uid)}, who could replace it. Set it to a folder "
                f"of {user_name(os.geteuid())}, below folders of that user or of root."
            )
        sticky = number < last and facts.st_mode & stat.S_ISVTX
        # The mode of a link has no meaning.
        if not sticky and not stat.S_ISLNK(facts.st_mode) and _others_may_write(step, facts):
            who = "everybody" if facts.st_mode & stat.S_IWOTH else f"group {facts.st_gid}"
            return f"{who} may write to {step} (mode {stat.S_IMODE(facts.st_mode):o}). chmod go-w {step}"
    return ""


def user_name(uid: int) -> str:
    """Returns a user's name, or the number if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _walk(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yields every existing folder and link of a path, from the root on. Raises OSError."""
    here = "/"
    yield here, os.lstat(here)
    links = 0
    names = path.split("/")[::-1]
    while names:
        name = names.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120 # a string: this runs for every job, and Path takes five times as long
            continue
        step = f"{here.rstrip('/')}/{name}"
        try:
            facts = os.lstat(step)
        except FileNotFoundError:
            return
        yield step, facts
        if not stat.S_ISLNK(facts.st_mode):
            here = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(step)  # noqa: PTH115 # a string too
        here = "/" if target.startswith("/") else here
        names += target.split("/")[::-1]


def _others_may_write(path: str, facts: os.stat_result) -> bool:
    if facts.st_mode & stat.S_IWOTH:
        return True
    if not facts.st_mode & stat.S_IWGRP:
        return False
    # With an access list, the group bits are the upper limit of the rights of all its entries.
    return _has_access_list(path) or not _is_private_group(facts.st_gid, facts.st_uid)


def _has_access_list(path: str) -> bool:
    try:
        return bool(os.getxattr(path, ACL_ATTRIBUTE))
    except OSError:
        return False


@functools.cache
def _is_private_group(gid: int, uid: int) -> bool:
    """Returns whether only a user and root are in a group: many systems create a group for each user and let it write."""
    try:
        listed = {pwd.getpwnam(name).pw_uid for name in grp.getgrgid(gid).gr_mem}
    except KeyError:
        return False
    return {*listed, *(user.pw_uid for user in pwd.getpwall() if user.pw_gid == gid)} <= {0, uid}


@functools.cache
def _list_unmapped_uids() -> frozenset[int]:
    """Returns the uid that stands for every user outside of this process's user namespace, such as the host's root."""
    try:
        if UID_MAP.read_text(encoding="ascii").split() == ["0", "0", "4294967295"]:
            return frozenset()
        return frozenset({int(OVERFLOW_UID.read_text(encoding="ascii"))})
    except (OSError, ValueError):
        return frozenset()
