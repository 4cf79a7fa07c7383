"""A control group for each job: where it is made, what bounds it, and that its end is everybody's."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.sandbox import cgroups
from executor.sandbox.cgroups import TREE_PREFIX, CgroupTree
from executor.sandbox.confine import ResourceLimits

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
MOUNTED_BELOW = "30 23 0:26 /docker/7 /sys/fs/cgroup ro - cgroup2 cgroup2 rw"
FILES = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")


@pytest.mark.parametrize(
    ("own", "mounts", "folder"),
    [
        ("0::/system.slice/a.service\n", V2, "/sys/fs/cgroup/system.slice/a.service"),
        ("0::/\n", V2, "/sys/fs/cgroup"),
        ("4:memory:/x\n0::/y\n", f"{V1}\n{V2}", "/sys/fs/cgroup/y"),
        ("0::/docker/7/a\n", MOUNTED_BELOW, "/sys/fs/cgroup/a"),
        ("0::/docker/7\n", MOUNTED_BELOW, "/sys/fs/cgroup"),
        ("0::/docker/71\n", MOUNTED_BELOW, ""),
        ("0::/../other\n", V2, ""),
        ("4:memory:/x\n", V1, ""),
        ("", "", ""),
    ],
)
def test_the_group_of_a_program_is_found(own: str, mounts: str, folder: str):
    """In the second version's tree, as far as it is mounted here."""
    assert cgroups.find_cgroup(own, mounts) == folder


@pytest.mark.parametrize(("controllers", "written"), [((), 0), (("pids",), 1), (("memory", "pids"), 4)])
def test_what_controllers_there_are_bound_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: tuple[str, ...], written: int
):
    """On plain files, as the kernel would make them."""
    made = os.mkdir

    def mkdir(name: str, *, dir_fd: int) -> None:
        made(name, dir_fd=dir_fd)
        for file in FILES:
            (tmp_path / name / file).touch()

    monkeypatch.setattr(cgroups.os, "mkdir", mkdir)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        group = CgroupTree(folder, frozenset(controllers), ResourceLimits(memory=1 << 28, processes=9)).add_group(3)
        assert group
        bounds = {file: (tmp_path / "job-3" / file).read_text() for file in FILES}
        assert len([each for each in bounds.values() if each]) == written
        assert bounds["pids.max"] in {"", "9"}
        assert bounds["memory.max"] in {"", str(1 << 28)}
        assert group.find_exceeded_limit() == ""
        (tmp_path / "job-3" / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
        assert group.find_exceeded_limit() == "memory"
    finally:
        os.close(folder)


def test_where_none_can_be_made_there_is_none(tmp_path: Path):
    """A folder that is no control group."""
    (tmp_path / "cgroup.procs").write_text("")
    assert cgroups.make_tree(str(tmp_path), None, ResourceLimits(), ()) is None


@pytest.fixture
def tree() -> Iterator[CgroupTree]:
    """A real one, of a process that enters it for this test's sake: this test's own stays where it is."""
    base = cgroups.find_own_cgroup()
    place = Path(base, f"{TREE_PREFIX}test-{os.getpid()}")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("no control group can be made here")
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not (place / "cgroup.kill").exists():
            pytest.skip("this kernel can't end a control group")
        yield CgroupTree(folder, frozenset(), ResourceLimits())
    finally:
        for each in [each for each in place.iterdir() if each.is_dir()]:
            cgroups.Cgroup(folder, each.name).destroy()
        os.close(folder)
        place.rmdir()


def left_behind(tell: int) -> None:
    """Make a process in a session of its own, tell its number, and end."""
    if os.fork() == 0:
        os.setsid()
        os.write(tell, str(os.getpid()).encode())
        time.sleep(60)
    os._exit(0)


def lives(pid: int) -> bool:
    """Whether it is there, and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("call", ["clone3", "without clone3"])
def test_a_job_ends_with_its_group_wherever_its_processes_went(
    tree: CgroupTree, monkeypatch: pytest.MonkeyPatch, call: str
):
    """It is made in the group, by either way; what it left behind lives on until the group is ended."""
    if call != "clone3":
        monkeypatch.setattr(cgroups, "_fork_into", lambda _folder: None)
    group = tree.add_group(1)
    assert group
    heard, tell = os.pipe()
    if (pid := group.fork()) == 0:
        left_behind(tell)
    os.close(tell)
    left = int(os.read(heard, 16))
    os.close(heard)
    os.waitpid(pid, 0)
    assert f"/{TREE_PREFIX}test-{os.getpid()}/job-1\n" in Path(f"/proc/{left}/cgroup").read_text()
    assert lives(left)
    group.destroy()
    assert not lives(left)
    group.destroy()
    with contextlib.suppress(ProcessLookupError):
        os.kill(left, signal.SIGKILL)


def test_what_a_dead_executor_left_is_removed_and_a_living_ones_stays(tree: CgroupTree):
    """Whoever lives holds a lock on it."""
    base = os.readlink(f"/proc/self/fd/{tree.folder}")  # noqa: PTH115 # a descriptor
    heard, tell = os.pipe()
    if (pid := os.fork()) == 0:
        made = cgroups.make_tree(base, None, ResourceLimits(), (os.getpid(),))
        group = made and made.add_group(1)
        if group and group.fork() == 0:
            signal.pause()
        os.write(tell, b"1" if group else b"0")
        signal.pause()
    assert os.read(heard, 1) == b"1"
    place = Path(base, f"{TREE_PREFIX}{pid}")
    cgroups.remove_leftovers(base)
    assert (place / "job-1" / "cgroup.procs").read_text()
    left = int((place / "job-1" / "cgroup.procs").read_text())
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    # What it left holds its descriptor, as no program of a job does.
    os.kill(left, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while place.exists() and time.monotonic() < deadline:
        cgroups.remove_leftovers(base)
    assert not place.exists()
    os.close(heard)
    os.close(tell)
