"""What each defence is for: the same attack goes through without it, and is stopped with it.

Invariants: no test of the attack list may pass because the attack would not work anyway.
"""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import REPOSITORY
from tests.support.timeouts import TEST_TIMEOUT

# Run in a process of its own: what is put up can't be taken down.
SCRIPT = """
import ctypes, json, mmap, os, signal, socket, sys
sys.path.insert(0, sys.argv[1])
from executor.sandbox import landlock
from executor.sandbox.seccomp import filters
from executor.sandbox.confine import Defences, build_sandbox
from executor.sandbox.landlock import Rules
landlock_up, seccomp_up, inside, outside = json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.mmap(-1, 4096)
def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
def executed():
    child = os.fork()
    if not child:
        try:
            os.execv("/bin/true", ["true"])
        except OSError:
            os._exit(126)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise OSError
attacks = {
    "read": lambda: os.close(os.open(outside, os.O_RDONLY)),
    "list": lambda: os.listdir(os.path.dirname(outside)),
    "write": lambda: os.close(os.open(outside + ".new", os.O_WRONLY | os.O_CREAT)),
    "link": lambda: os.link(outside, inside + "/linked"),
    "execute": executed,
    "signal": lambda: os.kill(os.getppid(), 0),
    "tcp": lambda: socket.socket().close(),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "unix": lambda: socket.socket(socket.AF_UNIX).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "memory file": lambda: os.close(os.memfd_create("x")),
    "written and run": lambda: mmap.mmap(-1, 4096, prot=7).close(),
}
version = landlock.get_abi_version()
filter_ = filters.build_command_filter(allow_signals=version >= landlock.SCOPE_ABI)
defences = Defences(landlock=landlock_up, seccomp=seccomp_up, memory=False)
sandbox = build_sandbox(Rules(change=(inside,)), filter_, defences)
sandbox.apply_base()
sandbox.apply_rules()
through = []
for name, attack in attacks.items():
    try:
        attack()
    except (OSError, ValueError):
        continue
    through.append(name)
print(json.dumps(through))
"""
OF_LANDLOCK = {"read", "list", "write", "link", "execute", "signal"}
OF_SECCOMP = {"tcp", "udp", "unix", "netlink", "memory file", "written and run"}


def through(folder: Path, *, landlock: bool, seccomp: bool) -> set[str]:
    """The attacks that went through."""
    (folder / "inside").mkdir()
    outside = folder / "outside"
    outside.write_text("x")
    arguments = json.dumps([landlock, seccomp, str(folder / "inside"), str(outside)])
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(REPOSITORY), arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=TEST_TIMEOUT,
    )
    return set(json.loads(ran.stdout))


def test_with_every_defence_nothing_goes_through(tmp_path: Path):
    """The two together stop the whole list."""
    assert through(tmp_path, landlock=True, seccomp=True) == set()


def test_without_landlock_the_same_attacks_on_files_work(tmp_path: Path):
    """Reading, writing, running and signalling outside is what Landlock stops, and nothing else does."""
    assert through(tmp_path, landlock=False, seccomp=True) == OF_LANDLOCK


def test_without_seccomp_the_same_attacks_on_the_kernel_work(tmp_path: Path):
    """Sockets and memory are what the filter of system calls stops, and nothing else does."""
    assert through(tmp_path, landlock=True, seccomp=False) == OF_SECCOMP


def test_a_reaper_ends_what_a_plain_parent_would_leave(tmp_path: Path):
    """A second fork in a session of its own goes on after its parent, unless a reaper ends it."""
    code = (
        "import os, sys, socket\nsys.path.insert(0, sys.argv[1])\nfrom executor.sandbox.zygote import processes\nfrom executor.sandbox import libc\n"
        "reading, writing = os.pipe()\n"
        "def leave():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            os.read(0, 1)\n        os._exit(0)\n    os._exit(0)\n"
        "if sys.argv[2] == 'kept':\n    libc.LIBC.prctl(libc.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)\n"
        "child = os.fork()\nif child == 0: leave()\nos.waitpid(child, 0)\n"
        "if sys.argv[2] == 'kept': processes.kill_descendants()\n"
        "os.write(1, b'.'); os._exit(0)\n"
    )
    for manner, left in (("kept", False), ("plain", True)):
        reading, writing = os.pipe()
        # What is left ends when this does.
        waits, ends = os.pipe()
        subprocess.run(
            [sys.executable, "-c", code, str(REPOSITORY), manner],
            check=True,
            timeout=TEST_TIMEOUT,
            pass_fds=(writing,),
            stdin=waits,
            stdout=subprocess.DEVNULL,
        )
        os.close(writing)
        # The pipe's other end is open as long as one of them lives.
        assert bool(select.select([reading], [], [], 0.2)[0]) is not left
        os.close(ends)
        assert select.select([reading], [], [], 30)[0]
        for each in (reading, waits):
            os.close(each)


@pytest.mark.parametrize("path", [".env", ".run", ".claude", "data", "login"])
def test_a_whitelist_that_covers_a_secret_ends_the_start(tmp_path: Path, path: str):
    """The server's own secrets are never below an allowed path, and the refusal names what is covered."""
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / path).mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(allowed if path == ".claude" else tmp_path),
        "RUN_DIR": str(allowed / ".run" if path == ".run" else tmp_path / "run"),
        "ALLOWED_PATHS": str(allowed),
        "PYTHONPATH": str(REPOSITORY),
        **({"DATA_DIR": str(allowed / path)} if path == "data" else {}),
        **({"CLAUDE_CONFIG_DIR": str(allowed / path)} if path == "login" else {}),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "executor", "--role", "tools"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TEST_TIMEOUT,
        cwd=allowed if path == ".env" else tmp_path,
        env=environment,
    )
    assert ran.returncode == 2, ran
    assert ran.stderr.startswith("ALLOWED_PATHS: ")
    names = {".run": "RUN_DIR", ".claude": "Claude config folder", "data": "DATA_DIR", "login": "CLAUDE_CONFIG_DIR"}
    assert f"the server's own {names.get(path, path)}" in ran.stderr
    assert str(allowed / path) in ran.stderr


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ALLOWED_PATHS", "/none/such"), ("WRITABLE_PATHS", "/none/such"), ("ALLOWED_COMMANDS", "no-such-command")],
)
def test_what_is_not_there_is_said_at_start(tmp_path: Path, setting: str, value: str):
    """Not at the first request."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RUN_DIR": str(tmp_path / "run"), setting: value}
    ran = subprocess.run(
        [sys.executable, "-m", "executor", "--role", "tools"],
        capture_output=True,
        text=True,
        check=False,
        timeout=TEST_TIMEOUT,
        cwd=REPOSITORY,
        env=environment,
    )
    assert ran.returncode == 2, ran
    assert ran.stderr.startswith(f"{setting}: ")
