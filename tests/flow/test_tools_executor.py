"""The tools executor as a program: what its jobs are copies of, and what it leaves behind."""

import asyncio
import os
import signal
import sys

import psutil
import pytest

from shared.errors import ErrorKind
from shared.jobs import CommandEnded, FileRead, ReadFile, RunCommand, WriteFile
from tests.stack import REPOSITORY, until
from tests.tools import Tools

HEAVY = {"asyncio", "uvloop", "structlog", "pydantic", "subprocess", "tree_sitter_bash", "api", "executor.claude"}


async def test_what_jobs_are_copies_of_is_small():
    """What only the executor needs is loaded after the fork: each copy costs what it holds."""
    code = "import sys, executor.__main__; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    said, _ = await process.communicate()
    loaded = set(said.decode().split())
    assert "executor.sandbox.zygote" in loaded
    assert not HEAVY & loaded


async def test_deed_on_files_leaves_its_place_to_the_next():
    """More of them than processes wait, of every size: what does not fit into a message goes beside it."""
    async with Tools({"ALLOWED_COMMANDS": "ls,wc"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        for _ in range(20):
            assert isinstance((await tools.do(ReadFile("a.txt"))).end, FileRead)
        for size in (16_000, 16_500, 100_000, 3_000_000):
            path = str(tools.writable / f"{size}.txt")
            await tools.do(WriteFile(path, "x" * size))
            read = (await tools.do(ReadFile(path))).end
            assert isinstance(read, FileRead)
            assert read.text == "x" * size
        said = await tools.run(f"wc -c # {'x' * 20_000}")
        assert (said.stdout, said.code) == (b"0\n", 0)
        both = await asyncio.gather(
            *(tools.do(ReadFile("a.txt")) for _ in range(20)), *(tools.run("ls") for _ in range(20))
        )
        assert {type(each.end) for each in both} == {FileRead, CommandEnded}


async def test_without_its_zygote_it_says_that_it_has_to_be_started_again():
    """It goes on as long as there are processes that wait; then each job is refused, with what to do."""
    async with Tools({"ALLOWED_COMMANDS": "ls"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        [zygote] = psutil.Process(tools.program.pid).children()
        zygote.kill()
        for job in (ReadFile("a.txt"), RunCommand("ls")):
            async with asyncio.timeout(30):
                while isinstance((await tools.do(job)).end, FileRead | CommandEnded):
                    pass
            refused = (await tools.do(job)).refused
            assert refused.kind is ErrorKind.NO_TOOLS
            assert "start it again" in refused.detail
        assert "start it again" in (await tools.status()).problem


async def test_nothing_of_it_lives_on_when_it_is_killed():
    """Neither what waits nor what works."""
    async with Tools({"ALLOWED_COMMANDS": "ls,sleep"}) as tools:
        running = asyncio.create_task(tools.run("sleep 19"))
        await until(lambda: any(each.name() == "sleep" for each in of(tools)), 30)
        processes = of(tools)
        assert len(processes) > 4
        await tools.program.end(signal.SIGKILL)
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: not any(alive(each) for each in processes), 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_a_terminal_sends_to_all_leaves_no_job_behind(number: signal.Signals):
    """Who looks after a job hears the end from the executor, not before it."""
    async with Tools({"ALLOWED_COMMANDS": "ls,sleep", "DRAIN_TIMEOUT": "0"}) as tools:
        running = asyncio.create_task(tools.run("sleep 19"))
        await until(lambda: any(each.name() == "sleep" for each in of(tools)), 30)
        processes = of(tools)
        for pid in (each.pid for each in processes if os.getpgid(each.pid) == os.getpgid(tools.program.pid)):
            os.kill(pid, number)
        assert await tools.program.end(number) == 0
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: not any(alive(each) for each in processes), 15)


def alive(process: psutil.Process) -> bool:
    """Whether it is there, and not only waiting to be reaped."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def of(tools: Tools) -> list[psutil.Process]:
    """The processes below the executor."""
    return psutil.Process(tools.program.pid).children(recursive=True)


async def test_no_descriptor_is_left_to_the_garbage_collector():
    """Neither by processes that did a job, nor by those that waited for one: Python would warn of it at their end."""
    async with Tools({"PYTHONWARNINGS": "default", "ALLOWED_COMMANDS": "ls"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        for _ in range(3):
            assert isinstance((await tools.do(RunCommand("ls"))).end, CommandEnded)
            assert isinstance((await tools.do(ReadFile("a.txt"))).end, FileRead)
        assert await tools.program.end(signal.SIGTERM) == 0
        assert "Warning" not in tools.log()
