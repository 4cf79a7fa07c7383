"""The sandbox of the CLI, attacked by a Python in the CLI's place.

Invariants: each attack is shown to work where the defence that stops it is taken out.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import REPOSITORY
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tools import SECRET
from tests.support.worker import ORDINARY_UID

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or ""

# What a CLI that was taken over would try. Run in place of the CLI, with what it is told in argv.
ATTACKS = """
import ctypes, json, os, resource, socket, sys
told = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
def executed(path):
    child = os.fork()
    if not child:
        try:
            os.execv(path, [path])
        except OSError:
            os._exit(126)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 126:
        raise OSError
def planted():
    path = told["inside"] + "/planted"
    with open("/proc/self/exe" if told["proc"] else told["program"], "rb") as mine, open(path, "wb") as copy:
        copy.write(mine.read())
    os.chmod(path, 0o755)
    executed(path)
def reached(path):
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(path)
def early(port):
    with socket.socket() as sock:
        sock.sendto(b"x", 0x20000000, ("127.0.0.1", port))
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", told["port"]))
def multipath(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as sock:
        sock.connect(("127.0.0.1", port))
attacks = {
    "read": lambda: open(told["secret"]).read(),
    "list": lambda: os.listdir(os.path.dirname(told["secret"])),
    "write": lambda: open(told["secret"] + ".new", "w"),
    "delete": lambda: os.unlink(told["spare"]),
    "link": lambda: os.link(told["secret"], told["inside"] + "/linked"),
    "through a symbolic link": lambda: (os.symlink(told["secret"], told["inside"] + "/s"), open(told["inside"] + "/s")),
    "environment": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    "descriptors": lambda: os.listdir(f"/proc/{os.getppid()}/fd"),
    "another CLI's folder": lambda: os.listdir(told["another"]),
    "execute": lambda: executed("/bin/true"),
    "planted program": planted,
    "signal": lambda: os.kill(os.getppid(), 0),
    "another port": lambda: socket.create_connection(("127.0.0.1", told["other"]), timeout=5).close(),
    "a port of its own": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "an abstract socket": lambda: reached("\\0" + told["abstract"]),
    "a socket of the server": lambda: reached(told["socket"]),
    "sent early": lambda: early(told["other"]),
    "multipath": lambda: multipath(told["other"]),
    "datagram": datagram,
    "vsock": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
    "memory file": lambda: os.close(os.memfd_create("x")),
    "io_uring": lambda: called(libc.syscall(425, 8, ctypes.create_string_buffer(120))),
    "namespace": lambda: called(libc.unshare(0x10000000)),
    "keys": lambda: called(libc.syscall(250 if os.uname().machine == "x86_64" else 219, 0, -3, 1)),
    "another's limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (3600, 3600)),
    "another's priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 5),
    "another's cores": lambda: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(os.getppid())),
    "traced": lambda: called(libc.ptrace(0, 0, 0, 0)),
}
through = []
for name, attack in attacks.items():
    try:
        attack()
    except (OSError, ValueError):
        continue
    through.append(name)
socket.create_connection(("127.0.0.1", told["port"]), timeout=5).close()
open(told["inside"] + "/own", "w").write("x")
print(json.dumps(through))
"""
# What each defence stops by itself.
STOPPED = {
    "landlock": {
        *("read", "list", "write", "delete", "link", "through a symbolic link", "environment", "memory", "descriptors"),
        *("another CLI's folder", "execute", "planted program", "signal", "another port", "a port of its own"),
        "an abstract socket",
    },
    "seccomp": {
        *("a port of its own", "an abstract socket", "a socket of the server", "sent early", "multipath", "datagram"),
        *(
            "vsock",
            "memory file",
            "io_uring",
            "namespace",
            "keys",
            "traced",
            "another's limits",
            "another's priority",
            "another's cores",
        ),
    },
    "privileges": set[str](),
}
# A root without capabilities can't look into a root with them.
OF_ROOT = {"environment", "memory"}
# Some kernels have none of it: then there is nothing to stop.
NOT_EVERYWHERE = {"vsock", "io_uring", "keys", "multipath", "namespace"}

# What starts the attacker as the executor starts a CLI: as the same user, with or without each defence.
DRIVER = """
import ctypes, json, os, subprocess, sys
sys.path.insert(0, sys.argv[1])
told, defences, uid = json.loads(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])
from pathlib import Path
from msgspec import structs
from executor.claude.cli import sandbox as sandboxes
from executor.claude.cli.credential import find_credential
from executor.sandbox import landlock, libc, privileges
from shared.process import core_dumps
made = sandboxes.build_cli_sandbox(Path(told["program"]), find_credential({"ANTHROPIC_API_KEY": "x"}),
                         f"http://127.0.0.1:{told['port']}", {}, landlock.get_abi_version())
library = tuple(str(path) for name in ("python3*", "*/libffi.so*") for path in Path("/usr/lib").glob(name))
made = structs.replace(made, rules=structs.replace(made.rules, read=(*made.rules.read, *library)))
if "landlock" not in defences:
    made = structs.replace(made, version=0)
if "seccomp" not in defences:
    made = structs.replace(made, filter=b"")
if "privileges" not in defences:
    privileges.drop_capabilities = lambda: libc.forbid_new_privileges()
if uid:
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    libc.LIBC.prctl(core_dumps.PR_SET_DUMPABLE, 1, 0, 0, 0)
with sandboxes.prepare_entry(made, Path(told["inside"])) as enter:
    ran = subprocess.run([told["program"], "-I", "-S", "-c", sys.argv[5], sys.argv[2]], preexec_fn=enter, env={}, cwd="/")
sys.exit(ran.returncode)
"""


class Prey:
    """What is attacked: files, processes and sockets of others, all of which this user could reach.

    Mutable: what went through, once it was tried.
    """

    def __init__(self, folder: Path, uid: int, upstream: socket.socket, other: socket.socket) -> None:
        self.uid = uid
        self.folder = folder
        self._tried: dict[tuple[str, ...], set[str]] = {}
        folder.chmod(0o755)
        for name in ("inside", "another", "outside"):
            (folder / name).mkdir()
        (folder / "another" / "config").write_text(SECRET)
        for name in ("secret", "spare"):
            (folder / "outside" / name).write_text(SECRET)
        self.abstract = f"attacked-{folder.name}"
        self.socket = folder / "outside" / "socket"
        self.told: dict[str, object] = {
            "program": os.path.realpath(PYTHON),
            "inside": str(folder / "inside"),
            "another": str(folder / "another"),
            "secret": str(folder / "outside" / "secret"),
            "spare": str(folder / "outside" / "spare"),
            "socket": str(self.socket),
            "abstract": self.abstract,
            "port": upstream.getsockname()[1],
            "other": other.getsockname()[1],
            "proc": False,
        }
        if uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, uid, uid)

    def through(self, *defences: str) -> set[str]:
        """The attacks that went through with these defences only."""
        if defences not in self._tried:
            self._tried[defences] = self._attacked(defences)
        return self._tried[defences]

    def _attacked(self, defences: tuple[str, ...]) -> set[str]:
        for each in (self.folder / "inside").iterdir():
            each.unlink()
        (self.folder / "outside" / "spare").touch()
        ran = subprocess.run(
            [
                *(sys.executable, "-c", DRIVER, str(REPOSITORY), json.dumps(self.told), json.dumps(defences)),
                *(str(self.uid), ATTACKS),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=TEST_TIMEOUT,
        )
        assert ran.returncode == 0, ran.stderr
        return set(json.loads(ran.stdout))


@pytest.fixture(scope="module", params=["as root", "as an ordinary user"])
def prey(request: pytest.FixtureRequest) -> Iterator[Prey]:
    ordinary = request.param == "as an ordinary user"
    if not ordinary and os.getuid() != 0:
        pytest.skip("this test run is not root, so it can't start one as root")
    if not PYTHON:
        pytest.skip("there is no Python of the system to attack with")
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="prey-")))
        upstream, other = (opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2))
        made = Prey(folder, ORDINARY_UID if ordinary and os.getuid() == 0 else 0, upstream, other)
        for address in (str(made.socket), f"\0{made.abstract}"):
            listening = opened.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(address)
            listening.listen()
        made.socket.chmod(0o666)
        yield made


@pytest.mark.attack("The CLI")
@pytest.mark.parametrize("attack", sorted(set.union(*STOPPED.values())))
def test_a_cli_that_was_taken_over_is_stopped(prey: Prey, attack: str):
    """Its service and its folder are reached all the same: the attacker's last lines. Without the defences it works."""
    assert attack not in prey.through(*STOPPED)
    assert attack in prey.through() | NOT_EVERYWHERE


@pytest.mark.control
@pytest.mark.parametrize("defence", STOPPED)
def test_each_defence_stops_what_it_is_for(prey: Prey, defence: str):
    """By itself, it and nothing else being up."""
    stopped = STOPPED[defence] | (OF_ROOT if defence == "privileges" and not prey.uid else set())
    assert prey.through(defence) == prey.through() - stopped
