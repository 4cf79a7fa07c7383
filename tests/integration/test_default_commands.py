"""Every command that is allowed unless the owner says otherwise works in the sandbox, alone and in a pipe."""

import os
from collections.abc import AsyncGenerator

import pytest

from executor.settings import Settings
from executor.tools.config_loader import split_list
from tests.support.tools import ToolsProgram
from tests.support.worker import ORDINARY_UID, tools_user

# What is run, and a piece of what it says.
RUNS = {
    "ls": ("ls", "a.txt"),
    "cat": ("cat a.txt", "two"),
    "head": ("head -n 1 a.txt", "one"),
    "tail": ("tail -n 1 a.txt", "two"),
    "wc": ("wc -l a.txt", "2"),
    "grep": ("grep -n two a.txt", "2:two"),
    "find": ("find . -name '*.txt'", "./a.txt"),
    "date": ("date +%Y", "20"),
    "uptime": ("uptime", "load average"),
    "df": ("df -P", "Mounted on"),
    "du": ("du -s .", "."),
    "free": ("free", "Mem:"),
    "whoami": ("whoami", tools_user()),
    "pwd": ("pwd", "/files"),
    "echo": ("echo one", "one"),
    "file": ("file a.txt", "text"),
    "stat": ("stat -c %n a.txt", "a.txt"),
    "sort": ("sort -r a.txt", "two"),
    "uniq": ("uniq a.txt", "one"),
    "cut": ("cut -c 1-3 a.txt", "one"),
    "tr": ("tr o x < a.txt", "xne"),
}


@pytest.fixture(scope="module", params=["as root", "as an ordinary user"])
async def tools(request: pytest.FixtureRequest) -> AsyncGenerator[ToolsProgram]:
    """An executor with what is allowed by itself."""
    root = request.param == "as root"
    if root and os.getuid() != 0:
        pytest.skip("this test run is not root, so it can't start one as root")
    async with ToolsProgram(uid=0 if root or os.getuid() != 0 else ORDINARY_UID) as started:
        (started.root / "a.txt").write_text("one\ntwo\n")
        yield started


def test_every_default_command_is_tried():
    """None is left out of the list."""
    assert set(RUNS) == set(split_list(Settings.model_fields["allowed_commands"].default))


@pytest.mark.parametrize("name", RUNS)
async def test_default_command_works_alone_and_in_a_pipe(tools: ToolsProgram, name: str):
    """As the only program, in the middle of a list, and at either end of a pipe."""
    command, sign = RUNS[name]
    alone = await tools.run_command(command)
    if name == "whoami" and alone.returncode:
        # The number of this user has no name.
        assert b"cannot find name" in alone.stderr
        return
    assert (alone.returncode, alone.stderr) == (0, b"")
    assert sign in alone.stdout.decode()
    for text in (f"{command} | cat", f"{command}; true", f"true && {command} | tail -n 99", f"echo $({command})"):
        output = await tools.run_command(text)
        assert (output.returncode, output.stderr) == (0, b""), (text, output)
        assert sign in output.stdout.decode()


async def test_table_of_mounts_is_the_executors_own_and_nothing_else_of_proc_is_shown(tools: ToolsProgram):
    """`df` in a pipe names the same places as alone; of other processes it shows nothing."""
    alone = await tools.run_command("df -P")
    piped = await tools.run_command("df -P | cat")
    places = [{line.split()[-1] for line in output.stdout.decode().splitlines()} for output in (alone, piped)]
    assert places[0] == places[1]
    for path in ("/proc/1/mountinfo", "/proc/self/environ", "/proc/self/mounts"):
        output = await tools.run_command(f"df -P | cat {path}")
        assert output.stdout == b"", output
