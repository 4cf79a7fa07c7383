"""In a container: an ordinary user, no new rights, and no namespaces to be had. What holds is served, what lacks is said.

Invariants: what is told to be missing is all that is missing: the rest of the attack list is stopped here too.
"""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.tools import SECRET, ToolsProgram
from tests.support.worker import ORDINARY_UID

pytestmark = [pytest.mark.anyio]

COMMANDS = ["cat", "ls", "cp", "bash", "env", "sleep", "chmod", "df"]
LIBRARY = os.path.realpath("/lib/x86_64-linux-gnu/libm.so.6")


def contained(manner: str) -> ToolsProgram:
    """An executor as a container's engine would run it."""
    settings = {"ALLOWED_COMMANDS": ",".join(COMMANDS)}
    return ToolsProgram(settings, uid=ORDINARY_UID if os.getuid() == 0 else os.getuid(), contained=manner)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def tools() -> AsyncIterator[ToolsProgram]:
    async with contained("plain") as started:
        (started.root / "a.txt").write_text("hello\n")
        yield started


async def test_it_serves_and_says_what_it_lacks(tools: ToolsProgram):
    """What mounts would hold: no library is loaded, no mode changed."""
    status = await tools.fetch_status()
    assert status.problem == ""
    [lack] = status.missing
    assert "libraries" in lack
    assert "modes and times" in lack
    assert (await tools.run_command("cat a.txt")).stdout == b"hello\n"


@pytest.mark.parametrize(
    "command",
    [
        "cat {outside}/secret.txt",
        "cat /proc/self/../1/environ",
        "cat /proc/$PPID/environ",
        "bash -c 'echo x > {outside}/new'",
        "env id",
        "bash -c id",
        "cp /bin/true planted && chmod 755 planted && bash -c ./planted && echo uid=",
        "bash -c '/lib64/ld-linux-x86-64.so.2 /usr/bin/id'",
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/22 && echo uid='",
    ],
)
async def test_the_attacks_are_stopped_here_too(tools: ToolsProgram, command: str):
    """Files outside, other processes, programs that are not allowed, the network."""
    output = repr(await tools.run_command(command.format(outside=tools.outside), cwd=str(tools.writable)))
    assert "uid=" not in output.replace(command, "")
    assert SECRET not in output
    assert not (tools.outside / "new").exists()


async def test_without_a_table_of_mounts_df_works_alone_and_of_a_path(tools: ToolsProgram):
    """As the manual has it; in a pipe it says what it lacks."""
    alone = await tools.run_command("df -P")
    assert (alone.returncode, alone.stderr) == (0, b"")
    piped = await tools.run_command("df -P | cat")
    assert (piped.stdout, b"Permission denied" in piped.stderr) == (b"", True)
    assert b"1024-blocks" in (await tools.run_command("df -P . | cat")).stdout


async def planted(tools: ToolsProgram) -> str:
    """What an allowed program says that loads a library which lies in an allowed folder."""
    shutil.copy(LIBRARY, tools.writable / "evil.so")
    return repr(await tools.run_command("bash -c 'enable -f ./evil.so evil'", str(tools.writable)))


@pytest.mark.skipif(not Path(LIBRARY).exists(), reason="no library to plant")
async def test_what_is_said_to_be_missing_is(tools: ToolsProgram):
    """Such a library is loaded, though it has no builtin of that name; so the warning is no empty one."""
    output = await planted(tools)
    assert "evil_struct" in output
    assert "failed to map" not in output


@pytest.mark.skipif(not Path(LIBRARY).exists(), reason="no library to plant")
@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a folder for this test")
async def test_of_a_folder_that_is_mounted_noexec_no_library_is_loaded():
    """As the message advises, and as the unit for systemd has it: that is not said to be missing then, and is not."""
    async with contained("noexec") as tools:
        status = await tools.fetch_status()
        assert status.problem == ""
        [lack] = status.missing
        assert "libraries" not in lack
        assert "modes and times" in lack
        assert "failed to map" in await planted(tools)
