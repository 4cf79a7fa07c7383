"""Files outside of what is allowed, by the calls that Landlock knows and by those that it does not.

Invariants: nothing is read, made, changed or moved there, though the files' own modes would let anybody. Without the defences
each attack goes through.
"""

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.security.attack import Attack, call, code, command
from tests.security.conftest import Unfenced
from tests.support.tools import SECRET, ToolsProgram

pytestmark = [
    pytest.mark.attack("Files outside"),
]

LANDLOCK = ("landlock",)
# What is to be changed outside is on a mount that is for reading only as well.
BOTH = ("landlock", "mounts")
FOUND = SECRET.encode()


def run_dir(tools: ToolsProgram) -> bytes:
    """A folder of the executor's user, by its path."""
    return str(tools.run_dir).encode() + b"\0"


def socket_of(tools: ToolsProgram) -> bytes:
    """The executor's own socket, by its path."""
    return str(tools.run_dir / "tools-1.sock").encode() + b"\0"


ATTACKS: dict[str, Attack] = {
    "opened": code("open(f'{outside}/secret.txt')", down=LANDLOCK),
    "listed": code("os.listdir(outside)", down=LANDLOCK),
    "opened by a folder's descriptor": code(
        "os.open('secret.txt', os.O_RDONLY, dir_fd=os.open(outside, os.O_PATH))", down=LANDLOCK
    ),
    "opened from within": code("os.chdir(outside)\nopen('secret.txt')", down=LANDLOCK),
    "opened by dots": code("open(f'{inside}/../outside/secret.txt')", down=LANDLOCK),
    "opened again by a descriptor of its path": code(
        "held = os.open(f'{outside}/secret.txt', os.O_PATH)\nopen(f'/proc/self/fd/{held}')", down=LANDLOCK
    ),
    "opened by the root of a process": code("open(f'/proc/self/root{outside}/secret.txt')", down=LANDLOCK),
    "opened by a link": code(
        "os.path.lexists(f'{inside}/s') or os.symlink(f'{outside}/secret.txt', f'{inside}/s')\nopen(f'{inside}/s')",
        down=LANDLOCK,
    ),
    "given a second name": code(
        "try:\n    os.link(f'{outside}/spare', f'{inside}/hard')\nfinally:\n"
        "    os.path.lexists(f'{inside}/hard') and os.unlink(f'{inside}/hard')",
        down=BOTH,
    ),
    "made": code("os.close(os.open(f'{outside}/new', os.O_CREAT | os.O_WRONLY))\nos.unlink(f'{outside}/new')", down=BOTH),
    "made without a name": code("os.open(outside, os.O_TMPFILE | os.O_WRONLY)", down=BOTH),
    "a folder made": code("os.mkdir(f'{outside}/new')\nos.rmdir(f'{outside}/new')", down=BOTH),
    "a FIFO made": code("os.mkfifo(f'{inside}/fifo')\nos.unlink(f'{inside}/fifo')", down=LANDLOCK),
    "a socket's node made": code("os.mknod(f'{inside}/node', 0o140600)\nos.unlink(f'{inside}/node')", down=LANDLOCK),
    "a link made outside": code("os.symlink('/', f'{outside}/new')\nos.unlink(f'{outside}/new')", down=BOTH),
    "moved out": code(
        "os.close(os.open(f'{inside}/mine', os.O_CREAT))\nos.rename(f'{inside}/mine', f'{outside}/mine')", down=BOTH
    ),
    "moved in": code("os.rename(f'{outside}/spare', f'{inside}/spare')\nopen(f'{outside}/spare', 'w')", down=BOTH),
    "removed": code("os.unlink(f'{outside}/spare')\nopen(f'{outside}/spare', 'w')", down=BOTH),
    "cut": code("os.truncate(f'{outside}/spare', 0)", down=BOTH),
    "mode changed": call(90, run_dir, 0o755, down=("mounts",)),
    "mode of a socket changed": call(90, socket_of, 0o660, down=("mounts",)),
    "owner changed": call(92, run_dir, -1, -1, down=("mounts",)),
    "times changed": call(132, run_dir, 0, down=("mounts",)),
    "attribute set": call(188, run_dir, b"user.x\0", b"y", 1, 0, down=("mounts",)),
    "read by `cat`": command("cat {outside}/secret.txt", down=LANDLOCK, sign=FOUND),
    "read by the shell": command("echo $(<{outside}/secret.txt)", down=LANDLOCK, sign=FOUND),
    "searched by `find`": command("find {outside}", down=LANDLOCK, sign=b"secret.txt"),
    "read by `dd`": command("dd if={outside}/secret.txt", down=LANDLOCK, sign=FOUND),
    "copied by `cp`": command("cp {outside}/secret.txt c; cat c", down=LANDLOCK, sign=FOUND),
    "compared by `git`": command(
        "git diff --no-index /dev/null {outside}/secret.txt", down=LANDLOCK, sign=FOUND
    ),
    "the system's settings": command("cat /etc/login.defs", down=LANDLOCK, sign=b"UID_MIN"),
    "the environment of the job's parent": command("bash -c 'cat /proc/$PPID/environ'; cat /proc/self/environ", down=LANDLOCK, sign=b"PATH="),
    "devices": code("os.open('/dev/zero', os.O_RDONLY)", down=LANDLOCK),
    "memory shared by files": code("os.close(os.open('/dev/shm/cas', os.O_CREAT | os.O_RDWR))\nos.unlink('/dev/shm/cas')", down=BOTH),
    "the common temporary folder": code("os.listdir('/tmp')", down=LANDLOCK),
}  # fmt: skip


@contextmanager
def spare(tools: ToolsProgram) -> Generator[None]:
    """A file outside that anybody may write."""
    place = tools.outside / "spare"
    place.touch()
    place.chmod(0o666)
    try:
        yield
    finally:
        for each in ("spare", "mine"):
            (tools.outside / each).unlink(missing_ok=True)


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_file_outside_is_not_to_be_had(tools: ToolsProgram, name: str):
    """Neither its content, nor its name's folder, nor a change of it."""
    with spare(tools):
        assert not await ATTACKS[name].attempt(tools)


@pytest.mark.control
@pytest.mark.parametrize("name", ATTACKS)
async def test_without_its_defences_it_is(unfenced: Unfenced, name: str):
    """So that the other test shows something."""
    attack = ATTACKS[name]
    tools = await unfenced(attack.down)
    with spare(tools):
        assert await attack.attempt(tools)
