"""Creates a control group for each job, where the host allows it. (https://docs.kernel.org/admin-guide/cgroup-v2.html)

Invariants: a job's first process starts in the job's group, so no process of the job is ever outside of it; `cgroup.kill`
ends all of them in one step. Groups are created only below the program's own; other programs' processes are never moved.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import struct
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from executor.sandbox import libc
from executor.sandbox.confine import ResourceLimits
from executor.sandbox.privileges import User

TREE_PREFIX = "claude-api-server-tools-"
# The group of the executor and its zygote: a group that enables controllers for its children can't contain processes.
MAIN_GROUP = "main"
DELEGATED_FILES = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")
CONTROLLERS = ("memory", "pids")
CLONE3, INTO_CGROUP = 435, 0x200000000
# struct clone_args, to its last member: the group's descriptor.
CLONE_ARGS = struct.Struct("=11Q")
REMOVE_RETRY_INTERVAL, REMOVE_ATTEMPTS = 0.001, 100


class Cgroup(Struct, frozen=True):
    """A job's group. parent: a descriptor of the folder that contains it."""

    parent: int
    name: str

    def fork(self) -> int:
        """Forks as os.fork, but the new process starts in the group. Raises OSError."""
        folder = os.open(self.name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.parent)
        try:
            pid = _fork_into(folder)
        finally:
            os.close(folder)
        if pid is None and (pid := os.fork()) == 0:
            # A supervisor may have forbidden that system call. This alternative takes some milliseconds.
            _write(self.parent, f"{self.name}/cgroup.procs", "0")
        return pid

    def find_exceeded_limit(self) -> str:
        """Returns the limit for which the kernel ended the job; empty if it did not."""
        try:
            events_file = os.open(f"{self.name}/memory.events", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.parent)
        except OSError:
            return ""
        with os.fdopen(events_file) as file:
            events = file.read().split()
        return "memory" if "oom_kill" in events and events[events.index("oom_kill") + 1] != "0" else ""

    def destroy(self) -> None:
        """Ends the job's remaining processes, and removes the group. A second call changes nothing."""
        for _ in range(REMOVE_ATTEMPTS):
            try:
                os.rmdir(self.name, dir_fd=self.parent)
            except FileNotFoundError:
                return
            except OSError:
                with contextlib.suppress(OSError):
                    _write(self.parent, f"{self.name}/cgroup.kill", "1")
                time.sleep(REMOVE_RETRY_INTERVAL)
            else:
                return


class CgroupTree(Struct, frozen=True):
    """The executor's tree of groups. folder: its descriptor, locked as long as a process has it open.

    controllers: the enabled ones.
    """

    folder: int
    controllers: frozenset[str]
    limits: ResourceLimits

    def add_group(self, number: int) -> Cgroup | None:
        """Creates a group for a job; None if that fails."""
        group = Cgroup(self.folder, f"job-{number}")
        settings = {
            "memory": (("memory.max", self.limits.memory), ("memory.swap.max", 0), ("memory.oom.group", 1)),
            "pids": (("pids.max", self.limits.processes),),
        }
        try:
            os.mkdir(group.name, dir_fd=self.folder)
            for controller in self.controllers:
                for name, value in settings[controller]:
                    # A kernel may have no swap.
                    with contextlib.suppress(FileNotFoundError):
                        _write(self.folder, f"{group.name}/{name}", str(value))
        except OSError:
            return None
        return group


def find_cgroup(own: str, mounts: str) -> str:
    """Returns the folder of this program's group; empty if there is none. own, mounts: /proc/self/cgroup and mountinfo."""
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::/")), "")
    for line in mounts.splitlines() if path else ():
        before, _, after = line.partition(" - ")
        root, mount_point = before.split()[3:5]
        # A path with `..` is outside of this mount.
        is_below = path == root or path.startswith(root.rstrip("/") + "/")
        if after.split()[0] == "cgroup2" and is_below and ".." not in path.split("/"):
            return os.path.normpath(f"{mount_point}/{path.removeprefix(root)}")
    return ""


def find_own_cgroup() -> str:
    """Returns the folder of this program's group; empty if there is none."""
    try:
        return find_cgroup(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    except OSError:
        return ""


def make_tree(base: str, user: User | None, limits: ResourceLimits, own_pids: Iterable[int]) -> CgroupTree | None:
    """Creates the executor's tree below `base`, enters it, and gives it to the user; None if that fails.

    own_pids: the processes of the executor. If `base` contains no others, they all enter it, and controllers are enabled.
    """
    place = Path(base, f"{TREE_PREFIX}{os.getpid()}")
    folder = -1
    try:
        remove_leftovers(base)
        place.mkdir()
        folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not (place / "cgroup.kill").exists():
            raise OSError
        (place / MAIN_GROUP).mkdir()
        base_pids = {int(pid) for pid in Path(base, "cgroup.procs").read_text().split()}
        is_alone = base_pids <= set(own_pids)
        for pid in base_pids if is_alone else (os.getpid(),):
            _write(folder, f"{MAIN_GROUP}/cgroup.procs", str(pid))
        controllers = _enable_controllers(Path(base), place) if is_alone else frozenset[str]()
        if user:
            for path in (place, *(place / name for name in DELEGATED_FILES)):
                os.chown(path, user.uid, user.gid)
    except OSError:
        if folder >= 0:
            os.close(folder)
        return None
    return CgroupTree(folder, controllers, limits)


def remove_leftovers(base: str) -> None:
    """Ends and removes the trees of executors that have ended. Raises OSError."""
    for place in Path(base).glob(f"{TREE_PREFIX}*"):
        with contextlib.suppress(OSError):
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # An executor that is running holds the lock.
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for group in [child for child in place.iterdir() if child.is_dir()]:
                    Cgroup(folder, group.name).destroy()
                place.rmdir()
            finally:
                os.close(folder)


def _enable_controllers(base: Path, place: Path) -> frozenset[str]:
    """Enables the available controllers for the groups below `place`. Returns those that were enabled."""
    found: set[str] = set()
    for name in CONTROLLERS:
        with contextlib.suppress(OSError):
            for folder in (base, place):
                (folder / "cgroup.subtree_control").write_text(f"+{name}")
            if name in (place / "cgroup.subtree_control").read_text().split():
                found.add(name)
    return frozenset(found)


def _fork_into(folder: int) -> int | None:
    """Forks into a group. Returns None if the system call is not available."""
    arguments = ctypes.create_string_buffer(CLONE_ARGS.pack(INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, *([0] * 5), folder))
    try:
        return libc.fork(CLONE3, arguments, ctypes.c_size_t(CLONE_ARGS.size))
    except OSError:
        return None


def _write(parent: int, name: str, value: str) -> None:
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=parent), "w") as file:
        file.write(value)
