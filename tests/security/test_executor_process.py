"""The tools executor's own process, as an attacker would have it: what it reaches, and that it still does its work."""

import json
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from shared.tool_jobs import CommandResult, FileContent, ReadFile
from tests.support.stack import Program, wait_until
from tests.support.tools import ToolsProgram
from tests.support.worker import ORDINARY_UID

pytestmark = [pytest.mark.anyio, pytest.mark.attack("The executor itself")]

# Without seccomp too, the kernel refuses these to who has no capability, or on some kernels.
REFUSED_ANYWAY = {"userfaultfd", "io_uring_setup"}
type Heard = dict[str, set[str]]


def taken_over(*, confined: bool) -> ToolsProgram:
    """An executor in whose process things are tried."""
    tools = ToolsProgram({"ALLOWED_COMMANDS": "echo,cat"}, uid=ORDINARY_UID)
    (tools.root / "a.txt").write_text("hello\n")
    module = [
        "tests.support.compromised_executor",
        "yes" if confined else "no",
        str(ORDINARY_UID if os.getuid() == 0 else 0),
    ]
    tools.program = Program([*module, "--role", "tools"], tools.program._environment, tools.folder / "tools.log")
    return tools


async def read_capabilities(tools: ToolsProgram) -> Heard:
    """What was tried in it, and what of it went through."""
    await wait_until(lambda: "TRIED " in tools.read_log())
    [line] = [line for line in tools.read_log().splitlines() if line.startswith("TRIED ")]
    return {name: set(each) for name, each in json.loads(line.removeprefix("TRIED ")).items()}


def status_of(pid: int) -> str:
    """What the kernel says of a process."""
    return Path(f"/proc/{pid}/status").read_text()


@pytest.fixture
async def confined() -> AsyncGenerator[ToolsProgram]:
    """The real one."""
    async with taken_over(confined=True) as tools:
        yield tools


async def test_who_has_the_executor_reaches_nothing(confined: ToolsProgram):
    """No file, no program, no process, no socket but what it has; its own work goes on, and it ends as it should."""
    capabilities = await read_capabilities(confined)
    assert capabilities["attacks"] == set()
    assert len(capabilities["works"]) == 8
    status = status_of(confined.program.pid)
    assert "Seccomp:\t2\n" in status
    assert "NoNewPrivs:\t1\n" in status
    assert isinstance((await confined.run_job(ReadFile("a.txt"))).end, FileContent)
    output = await confined.run_command("cat; echo done")
    assert (output.stdout, isinstance(output.end, CommandResult)) == (b"done\n", True)
    # Too long for a message: it is handed on by a file in memory.
    assert (await confined.run_command(f"echo {'x' * 50_000} > /dev/null; echo done")).stdout == b"done\n"
    assert await confined.program.stop(signal.SIGTERM) == 0
    assert not (confined.run_dir / "tools-1.sock").exists()


@pytest.mark.control
async def test_without_its_confinement_all_of_it_goes_through():
    """It is the confinement that stops it."""
    async with taken_over(confined=False) as tools:
        capabilities = await read_capabilities(tools)
        missed = capabilities["all"] - capabilities["works"] - capabilities["attacks"] - REFUSED_ANYWAY
        assert missed == set()
