"""Parts of the tools executor that are killed: no job goes on, no place is lost, and whoever waits for an answer gets one.

Invariants: the same where jobs have namespaces of their own and where they can't have them.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest

from executor.sandbox import cgroups
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import CommandResult, FileContent, ReadFile
from tests.support.stack import is_alive, kill_if_running, wait_until
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tools import JobOutput, ToolsProgram
from tests.support.worker import ORDINARY_UID

pytestmark = [pytest.mark.anyio, pytest.mark.attack("Dying parts")]

MANNERS = ["as root", "as an ordinary user", "without namespaces"]
# Away from its shell, in a session of its own.
LASTING = "(setsid sleep 4747 &); sleep 4747"


@pytest.fixture(params=MANNERS)
async def tools(request: pytest.FixtureRequest) -> AsyncGenerator[ToolsProgram]:
    """One that is not shared: parts of it are killed."""
    if request.param == "as root" and os.getuid():
        pytest.skip("this test run is not root, so it can't start one as root")
    settings = {"ALLOWED_COMMANDS": "bash,sleep,setsid,echo,true", "COMMAND_PROCESSES": "20", "DRAIN_TIMEOUT": "0"}
    without = ("mounts",) if request.param == "without namespaces" else ()
    uid = 0 if request.param == "as root" else ORDINARY_UID
    async with ToolsProgram(settings, uid=uid, without=without) as started:
        (started.root / "a.txt").write_text("hello\n")
        yield started


def sleeping(mark: str = "4747") -> list[psutil.Process]:
    """The processes that a job left, or works with."""
    return [
        each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", mark] and is_alive(each)
    ]


def zygote(tools: ToolsProgram) -> psutil.Process:
    """What the jobs come from."""
    [found] = psutil.Process(tools.program.pid).children()
    return found


def reapers(tools: ToolsProgram) -> set[int]:
    """Who keeps a job, waits for one, or does one alone."""
    return {each.pid for each in zygote(tools).children()}


def find_reaper(tools: ToolsProgram, process: psutil.Process) -> int:
    """Who keeps this one."""
    [found] = reapers(tools) & {each.pid for each in process.parents()}
    return found


@contextlib.asynccontextmanager
async def under_way(tools: ToolsProgram) -> AsyncGenerator[asyncio.Task[JobOutput]]:
    """A job that would last."""
    running = asyncio.create_task(tools.run_command(LASTING))
    try:
        await wait_until(lambda: len(sleeping()) == 2)
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for each in sleeping():
            kill_if_running(each)


async def works(tools: ToolsProgram, times: int = 8) -> None:
    """It does jobs of both kinds, more of them than wait."""
    for _ in range(times):
        assert isinstance((await tools.run_job(ReadFile("a.txt"), timeout=20)).end, FileContent)
        assert (await tools.run_command("echo alive")).stdout == b"alive\n"


async def test_a_job_ends_with_its_reaper(tools: ToolsProgram):
    """All of it, in whatever session; its caller hears that it was lost, its place is given back, others go on."""
    async with under_way(tools) as running:
        os.kill(find_reaper(tools, sleeping()[0]), signal.SIGKILL)
        async with asyncio.timeout(TEST_TIMEOUT):
            lost = (await running).failure
        assert lost.kind is ErrorKind.EXECUTOR_LOST
        await wait_until(lambda: not sleeping())
        assert (await tools.fetch_status()).running == 0
        await works(tools)


async def test_a_job_ends_with_its_executor_and_all_of_its_group(tools: ToolsProgram):
    """As a supervisor ends it that has no patience left."""
    async with under_way(tools):
        group = [each for each in psutil.process_iter() if os.getpgid(each.pid) == os.getpgid(tools.program.pid)]
        executor = psutil.Process(tools.program.pid)
        below = executor.children(recursive=True)
        for each in [executor, *(each for each in group if each in below)]:
            kill_if_running(each)
        await wait_until(lambda: not sleeping())
        await wait_until(lambda: not any(map(is_alive, below)))


async def test_what_waits_and_is_killed_is_replaced(tools: ToolsProgram):
    """Keepers, what they keep, and those without one: jobs are served, and as many wait as before."""
    await works(tools, 1)
    await wait_until(lambda: len(reapers(tools)) == 8)
    for _ in range(3):
        killed = zygote(tools).children(recursive=True)
        for each in killed:
            kill_if_running(each)
        # Who is about to die may still take a job, which is lost then.
        await wait_until(lambda killed=killed: not any(each.is_running() for each in killed))
        await works(tools, 1)
    await wait_until(lambda: len(reapers(tools)) == 8)
    await works(tools)


async def test_without_what_jobs_come_from_the_executor_ends(tools: ToolsProgram):
    """So that it is started again by whoever looks after it; no job goes on, and its caller hears of it."""
    async with under_way(tools) as running:
        zygote(tools).kill()
        async with asyncio.timeout(5):
            with contextlib.suppress(AssertionError, ConnectionError):
                assert isinstance((await running).end, Failed)
        assert await tools.program.wait_for_exit(5) == 1
        await wait_until(lambda: not sleeping())


async def test_sleeping_processes_of_one_job_stop_no_other_ones_forks(tools: ToolsProgram):
    """Each has its own share of processes, and no more than that."""
    command = "i=0; while [ $i -lt 17 ]; do i=$((i+1)); sleep 4848 & done; wait"
    hogs = [asyncio.create_task(tools.run_command(command)) for _ in range(3)]
    try:
        await wait_until(lambda: len(sleeping("4848")) == 51)
        output = await tools.run_command("i=0; while [ $i -lt 12 ]; do i=$((i+1)); sleep 0.2 & done; wait; echo $i")
        assert (output.stdout, output.stderr) == (b"12\n", b"")
    finally:
        for each in hogs:
            each.cancel()
        await asyncio.gather(*hogs, return_exceptions=True)
    await wait_until(lambda: not sleeping("4848"))


async def test_one_job_gets_no_more_processes_than_its_share(tools: ToolsProgram):
    """By the kernel's count, or by the reaper's."""
    output = await tools.run_command("i=0; while [ $i -lt 60 ]; do i=$((i+1)); sleep 3 & done; wait", timeout=20)
    assert isinstance(output.end, CommandResult)
    assert b"fork" in output.stderr or b"more processes than is allowed" in output.stderr


def group_of(pid: int) -> str:
    """The control group that a process is in, of the second version's tree."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next((line[3:] for line in lines if line.startswith("0::")), "")


async def test_a_job_is_in_a_control_group_that_goes_with_it(tools: ToolsProgram):
    """Its group alone has all of it; it is removed with the job, or with its reaper."""
    for reaper_dies in (False, True):
        async with under_way(tools) as running:
            groups = {group_of(each.pid) for each in sleeping()}
            if "/claude-api-server-tools-" not in "".join(groups):
                pytest.skip("no control group can be made here")
            [group] = groups
            assert group != group_of(find_reaper(tools, sleeping()[0]))
            folder = cgroups.find_own_cgroup() + group[group.index("/claude-api-server-tools-") :]
            assert os.path.isdir(folder)  # noqa: PTH112, ASYNC240 # it is no file that could take time
            if reaper_dies:
                os.kill(find_reaper(tools, sleeping()[0]), signal.SIGKILL)
                await running
        await wait_until(lambda: not sleeping())
        await wait_until(lambda folder=folder: not Path(folder).is_dir())


@pytest.mark.control
async def test_a_job_has_namespaces_of_its_own(tools: ToolsProgram, request: pytest.FixtureRequest):
    """Where they are to be had: its shell's number is a low one."""
    output = await tools.run_command("echo $$")
    apart = "without" not in request.node.callspec.id
    assert (int(output.stdout) < 10) is apart
