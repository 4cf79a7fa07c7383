"""Other processes of the same user: the tools executor, another job, and a neighbour.

A neighbour is what the claude executor and its CLIs are when all run as one user.

Invariants: nothing of them is read, by whatever file of /proc. Without the defences all of it is there to be read.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import psutil
import pytest

from tests.security.attack import Attack, code
from tests.security.conftest import Unfenced
from tests.support.stack import wait_until
from tests.support.tools import SECRET, JobOutput, ToolsProgram

pytestmark = [
    pytest.mark.attack("Other processes"),
]

WAYS = {
    "environment": "assert open(f'/proc/{whom}/environ', 'rb').read()",
    "environment of a thread": "assert open(f'/proc/{whom}/task/{whom}/environ', 'rb').read()",
    "memory": "open(f'/proc/{whom}/mem', 'rb', 0)",
    "memory to write": "os.open(f'/proc/{whom}/mem', os.O_RDWR)",
    "map of memory": "assert open(f'/proc/{whom}/maps').read()",
    "auxiliary vector": "assert open(f'/proc/{whom}/auxv', 'rb').read()",
    "command line": "assert open(f'/proc/{whom}/cmdline', 'rb').read()",
    "list of descriptors": "os.listdir(f'/proc/{whom}/fd')",
    "descriptor": "os.open(f'/proc/{whom}/fd/0', os.O_RDONLY | os.O_NONBLOCK)",
    "working folder": "os.readlink(f'/proc/{whom}/cwd')",
    "files by its working folder": "os.listdir(f'/proc/{whom}/cwd/')",
    "files by its root": "os.listdir(f'/proc/{whom}/root/')",
    "program": "open(f'/proc/{whom}/exe', 'rb').read(1)",
    "score, to have it ended first": "open(f'/proc/{whom}/oom_score_adj', 'w').write('1000')",
    "name": "open(f'/proc/{whom}/comm', 'w')",
}
WHOM = {
    # It hides itself as well, and may be in a user namespace.
    "executor": ("landlock", "mounts", "hiding"),
    "job": ("landlock", "mounts"),
    "neighbour": ("landlock", "mounts"),
}


# The executor's folder may be one that nobody else can list.
CASES = [(whom, way) for whom in WHOM for way in WAYS if (whom, way) != ("executor", "files by its working folder")]


def attack(whom: str, way: str) -> Attack:
    """Read it of them. Whose it is is told when it is tried."""
    return code(WAYS[way].replace("whom", whom), down=WHOM[whom])


@contextmanager
def neighbour(tools: ToolsProgram) -> Generator[int]:
    """A process of the jobs' user, with a secret in its environment and a file open."""
    uid, gid = (ids().real for ids in (psutil.Process(tools.program.pid).uids, psutil.Process(tools.program.pid).gids))
    who: dict[str, Any] = {} if uid == os.getuid() else {"user": uid, "group": gid, "extra_groups": []}
    with (
        (tools.outside / "secret.txt").open() as file,
        subprocess.Popen(["/bin/sleep", "600"], env={"KEY": SECRET}, stdin=file, cwd="/", **who) as process,
    ):
        try:
            yield process.pid
        finally:
            process.kill()


class Victims:
    """The processes that are attacked: another job, and a neighbour. Mutable: the job, which ends after some time."""

    def __init__(self, tools: ToolsProgram, neighbour_pid: int, number: int) -> None:
        self._tools = tools
        self._neighbour_pid = neighbour_pid
        self._command = ["sleep", str(number)]
        self._job: asyncio.Task[JobOutput] | None = None

    def find_jobs(self) -> list[int]:
        return [each.pid for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == self._command]

    async def start(self) -> None:
        """Start the job unless it runs, and tell attacks about both."""
        if not self.find_jobs():
            await self.stop()
            self._job = asyncio.create_task(self._tools.run_command(f"KEY=other {' '.join(self._command)}"))
            await wait_until(self.find_jobs)
        self._tools.attack_facts = {"job": self.find_jobs()[0], "neighbour": self._neighbour_pid}

    async def stop(self) -> None:
        if self._job:
            self._job.cancel()
            await asyncio.wait([self._job])
            await wait_until(lambda: not self.find_jobs())


@asynccontextmanager
async def run_victims(tools: ToolsProgram, number: int) -> AsyncGenerator[Victims]:
    with neighbour(tools) as pid:
        victims = Victims(tools, pid, number)
        try:
            yield victims
        finally:
            await victims.stop()


@pytest.fixture(scope="module")
async def victims(tools: ToolsProgram) -> AsyncGenerator[Victims]:
    async with run_victims(tools, 6161) as started:
        yield started


@pytest.fixture(scope="module")
async def undefended_victims(unfenced: Unfenced) -> AsyncGenerator[dict[tuple[str, ...], Victims]]:
    """Those of executors without some defences."""
    async with AsyncExitStack() as stack:
        yield {
            down: await stack.enter_async_context(run_victims(await unfenced(down), 6162 + number))
            for number, down in enumerate(sorted(set(WHOM.values())))
        }


@pytest.mark.parametrize(("whom", "way"), CASES)
async def test_another_process_is_not_looked_into(tools: ToolsProgram, victims: Victims, whom: str, way: str):
    """Not by one of its files, whoever it is."""
    await victims.start()
    assert not await attack(whom, way).attempt(tools)


@pytest.mark.control
@pytest.mark.parametrize(("whom", "way"), CASES)
async def test_without_the_defences_it_is(
    unfenced: Unfenced, undefended_victims: dict[tuple[str, ...], Victims], whom: str, way: str
):
    """So that the other test shows something."""
    tried = attack(whom, way)
    await undefended_victims[tried.down].start()
    assert await tried.attempt(await unfenced(tried.down))
