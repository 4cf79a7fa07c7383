"""Programs that are not on the list, and programs that the attacker brings: none of them runs.

Invariants: the shell text passes the check of names, so that what stops them is the kernel. Without the defences each runs.
"""

import contextlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.attack import Attack, command
from tests.security.conftest import Unfenced
from tests.security.machine import THROUGH, spoken
from tests.support.stack import REPOSITORY
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tools import ToolsProgram

pytestmark = [
    pytest.mark.attack("Programs"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacker's program is of x86-64"),
]

LANDLOCK, BOTH = ("landlock",), ("landlock", "mounts")
LOADER = "/lib64/ld-linux-x86-64.so.2"
GIT_ITSELF = shutil.which("git")
# What `id` says of an argument.
NO_USER = b"no such user"
GIT = "git -c safe.directory='*' -C {inside}/repository"


def git(rest: str, sign: bytes = b"uid=", down: tuple[str, ...] = LANDLOCK) -> Attack:
    """Something in git that runs a program of one's choice, in a repository of one's own."""
    return command(f"{GIT} {rest}", down=down, sign=sign)


ATTACKS: dict[str, Attack] = {
    "`find -exec`": command("find . -maxdepth 0 -exec id \\;", down=LANDLOCK),
    "`find -execdir`": command("find . -maxdepth 0 -execdir /usr/bin/id \\;", down=LANDLOCK),
    "`xargs`": command("xargs id </dev/null", down=LANDLOCK),
    "`env`": command("env id", down=LANDLOCK),
    "`env -S`": command("env -S 'id -a'", down=LANDLOCK),
    "`bash -c`": command("bash -c id", down=LANDLOCK),
    "`bash -c 'exec …'`": command("bash -c 'exec id'", down=LANDLOCK),
    "`bash -c 'eval …'`": command("bash -c 'eval i''d'", down=LANDLOCK),
    "`bash` with a path put together": command("bash -c 'x=/usr/bin/i; ${{x}}d'", down=LANDLOCK),
    "`bash -c` by the shell's own name": command("bash -c '/bin/sh -c id'", down=LANDLOCK),
    "`sed e`": command("sed -n '1e id' /etc/hostname || sed '1e id' {inside}/text", down=LANDLOCK),
    "git's alias": git("-c alias.x='!id' x"),
    "git's pager": git("grep -O'id;:' two", down=("landlock", "seccomp")),
    "git's editor": git("-c user.name=x -c user.email=x -c core.editor='id >&2 #' commit --allow-empty"),
    "git's difference": command(f"TMPDIR={{inside}} {GIT} -c diff.external='id #' diff", down=LANDLOCK),
    "git's monitor": git("-c core.fsmonitor='id >&2 #' status"),
    "git's transport": git("-c protocol.ext.allow=always ls-remote 'ext::id no-such-user'", sign=NO_USER),
    "a planted program": command("bash -c {inside}/spoken", down=BOTH, sign=THROUGH),
    "a planted program by `find`": command("find {inside}/spoken -exec {{}} \\;", down=BOTH, sign=THROUGH),
    "a planted program by the loader": command(
        f"find . -maxdepth 0 -exec {LOADER} {{inside}}/planted \\;", down=BOTH
    ),
    "a program by the loader": command(f"find . -maxdepth 0 -exec {LOADER} /usr/bin/id \\;", down=LANDLOCK),
    "a script of a program's": command("bash -c {inside}/script", down=BOTH, sign=NO_USER),
    "a link to a program": command("bash -c {inside}/linked", down=LANDLOCK),
    "a copied program": command("cp /usr/bin/id copied; chmod 755 copied; bash -c ./copied", down=BOTH),
}  # fmt: skip

OF_INPUT: dict[str, str] = {
    "run": "find . -maxdepth 0 -exec /proc/self/fd/0 \\;",
    "opened again and run": "find . -maxdepth 0 -exec /proc/self/fd/3 \\; 3</proc/self/fd/0 0</dev/null",
    "run by the loader": f"find . -maxdepth 0 -exec {LOADER} /proc/self/fd/0 \\;",
    "loaded as a library": "read -r LD_PRELOAD <<< /proc/self/fd/0; export LD_PRELOAD; ls",
    "run as what the shell wrote down": "find . -maxdepth 0 -exec /proc/self/fd/3 \\; 3<<< hello",
}

# What an input that is a file in memory would come to: it is no file that Landlock governs.
IN_MEMORY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from executor.sandbox.seccomp import filters
from executor.sandbox.confine import Defences, build_sandbox
from executor.sandbox.landlock import Rules
held = os.memfd_create("input", 0)
os.write(held, sys.argv[2].encode().replace(b"~", bytes(1)))
again = os.open(f"/proc/self/fd/{held}", os.O_RDONLY)
os.close(held)
sandbox = build_sandbox(Rules(), filters.build_command_filter(allow_signals=True), Defences())
sandbox.apply_base()
sandbox.apply_rules()
os.execv(f"/proc/self/fd/{again}", ["x"])
"""


def furnished(tools: ToolsProgram) -> ToolsProgram:
    """With what the attacker laid down before."""
    place = tools.writable
    for name, program in (
        ("spoken", spoken()),
        ("planted", Path("/usr/bin/id").read_bytes()),
        ("script", b"#!/usr/bin/id\n"),
    ):
        (place / name).write_bytes(program)
        (place / name).chmod(0o755)
    with contextlib.suppress(FileExistsError):
        (place / "linked").symlink_to("/usr/bin/id")
    (place / "text").write_text("text\n")
    if GIT_ITSELF and not (place / "repository").exists():
        repository = [GIT_ITSELF, "-C", str(place / "repository"), "-c", "user.name=x", "-c", "user.email=x"]
        subprocess.run([GIT_ITSELF, "init", "-q", str(place / "repository")], check=True)
        (place / "repository" / "file").write_text("one\n")
        subprocess.run([*repository, "add", "file"], check=True)
        subprocess.run([*repository, "commit", "-qm", "one"], check=True)
        (place / "repository" / "file").write_text("two\n")
        subprocess.run(["/bin/chmod", "-R", "a+rwX", str(place / "repository")], check=True)
    return tools


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_program_that_is_not_on_the_list_does_not_run(tools: ToolsProgram, name: str):
    """Whatever starts it, and wherever it lies."""
    assert not await ATTACKS[name].attempt(furnished(tools))


@pytest.mark.control
@pytest.mark.parametrize("name", ATTACKS)
async def test_without_the_defences_it_runs(unfenced: Unfenced, name: str):
    """So that the other test shows something."""
    if "git" in name and not GIT_ITSELF:
        pytest.skip("there is no git")
    attack = ATTACKS[name]
    assert await attack.attempt(furnished(await unfenced(attack.down)))


@pytest.mark.parametrize("name", OF_INPUT)
async def test_a_program_in_the_input_does_not_run(tools: ToolsProgram, name: str):
    """The input is a pipe: what is read from it can't be mapped, and so can't be run."""
    assert not await command(OF_INPUT[name], down=(), sign=THROUGH, stdin=spoken().decode("ascii")).attempt(tools)


@pytest.mark.control
def test_a_program_in_a_file_in_memory_does_run():
    """In the same sandbox: an input must not be one."""
    program = spoken().replace(b"\0", b"~").decode("ascii")
    ran = subprocess.run(
        [sys.executable, "-c", IN_MEMORY, str(REPOSITORY), program],
        capture_output=True,
        check=False,
        timeout=TEST_TIMEOUT,
    )
    assert ran.stdout == THROUGH, ran
