"""Other processes of the same user: the tools executor, another job, and a neighbour.

A neighbour is what the claude executor and its CLIs are when all run as one user.

Law: nothing of them is read, by whatever file of /proc. Without the defences all of it is there to be read.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psutil
import pytest

from tests.security.attack import Attack, code
from tests.security.conftest import Unfenced
from tests.support.stack import wait_until
from tests.support.tools import SECRET, ToolsProgram

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


@asynccontextmanager
async def prey(tools: ToolsProgram) -> AsyncGenerator[ToolsProgram]:
    """With a neighbour, and a job of somebody else's under way."""
    running = asyncio.create_task(tools.run_command("KEY=other sleep 6161"))

    def found() -> list[int]:
        return [each.pid for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "6161"]]

    try:
        await wait_until(found)
        with neighbour(tools) as beside:
            tools.attack_facts = {"job": found()[0], "neighbour": beside}
            yield tools
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await wait_until(lambda: not found())


@pytest.mark.parametrize(("whom", "way"), CASES)
async def test_another_process_is_not_looked_into(tools: ToolsProgram, whom: str, way: str):
    """Not by one of its files, whoever it is."""
    async with prey(tools):
        assert not await attack(whom, way).attempt(tools)


@pytest.mark.control
@pytest.mark.parametrize(("whom", "way"), CASES)
async def test_without_the_defences_it_is(unfenced: Unfenced, whom: str, way: str):
    """So that the other test shows something."""
    tried = attack(whom, way)
    async with prey(await unfenced(tried.down)) as tools:
        assert await tried.attempt(tools)
