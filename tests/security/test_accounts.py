"""The host's accounts, which `whoami` and `id` would read: what is granted to them is granted to all of a command."""

import contextlib
import os
import pwd
from collections.abc import AsyncGenerator

import psutil
import pytest

from tests.support.tools import ToolsProgram
from tests.support.worker import ORDINARY_UID

pytestmark = [pytest.mark.anyio, pytest.mark.attack("Files outside")]


@pytest.fixture(scope="module", params=["as root", "as an ordinary user", "without mounts"])
async def tools(request: pytest.FixtureRequest) -> AsyncGenerator[ToolsProgram]:
    """One that allows them."""
    if request.param == "as root" and os.getuid():
        pytest.skip("this test run is not root, so it can't start one as root")
    without = ("mounts",) if request.param == "without mounts" else ()
    uid = 0 if request.param == "as root" else ORDINARY_UID
    async with ToolsProgram({"ALLOWED_COMMANDS": "cat,whoami,id,echo"}, uid=uid, without=without) as started:
        yield started


ACCOUNTS = {
    "beside `whoami`": "cat /etc/passwd; false && whoami",
    "by the shell itself": "while read -r line; do echo $line; done < /etc/passwd; whoami",
    "beside `id`": "id; cat /etc/passwd /etc/group",
    "by a program in the same pipe": "id | cat - /etc/passwd /etc/group",
    "in a function": "f() { whoami; }; echo $(</etc/passwd) $(</etc/group); f",
    "how names are looked up": "cat /etc/nsswitch.conf /etc/passwd; false && id",
}


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_accounts_of_the_host_are_not_read(tools: ToolsProgram, name: str):
    """What one program of a command may read, all of it may: that is the tools' user, and nobody else."""
    output = await tools.run_command(ACCOUNTS[name])
    assert b"root:" not in output.stdout + output.stderr
    assert b"daemon" not in output.stdout


@pytest.mark.control
async def test_a_command_says_whose_it_is(tools: ToolsProgram):
    """By the number, and by the name if it has one."""
    number = psutil.Process(tools.program.pid).uids().real
    output = await tools.run_command("id")
    assert output.returncode == 0
    assert output.stdout.startswith(f"uid={number}".encode())
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(number).pw_name
        assert f"uid={number}({name})".encode() in output.stdout
