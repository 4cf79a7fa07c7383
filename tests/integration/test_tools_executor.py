"""The tools executor as a program: what its jobs are copies of, and what it leaves behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator

import psutil
import pytest

from shared.errors import ErrorKind
from shared.tool_jobs import (
    MAX_COMMAND_BYTES,
    CommandResult,
    EditFile,
    FileContent,
    ReadFile,
    RunCommand,
    SearchFiles,
    ToolJob,
    WriteFile,
)
from tests.support.stack import REPOSITORY, wait_until
from tests.support.tools import ToolsProgram

HEAVY = {"asyncio", "uvloop", "structlog", "pydantic", "subprocess", "tree_sitter_bash", "api", "executor.claude"}


async def test_what_jobs_are_copies_of_is_small():
    """What only the executor needs is loaded after the fork: each copy costs what it holds."""
    code = "import sys, executor.__main__; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    output, _ = await process.communicate()
    loaded = set(output.decode().split())
    assert "executor.sandbox.zygote.client" in loaded
    assert not HEAVY & loaded


async def test_deed_on_files_leaves_its_place_to_the_next():
    """More of them than processes wait, of every size: what does not fit into a message goes beside it."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls,wc"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        for _ in range(20):
            assert isinstance((await tools.run_job(ReadFile("a.txt"))).end, FileContent)
        for size in (16_000, 16_500, 100_000, 3_000_000):
            path = str(tools.writable / f"{size}.txt")
            await tools.run_job(WriteFile(path, "x" * size))
            read = (await tools.run_job(ReadFile(path))).end
            assert isinstance(read, FileContent)
            assert read.text == "x" * size
        output = await tools.run_command(f"wc -c # {'x' * 20_000}")
        assert (output.stdout, output.returncode) == (b"0\n", 0)
        both = await asyncio.gather(
            *(tools.run_job(ReadFile("a.txt")) for _ in range(20)), *(tools.run_command("ls") for _ in range(20))
        )
        assert {type(each.end) for each in both} == {FileContent, CommandResult}


async def test_nothing_of_it_lives_on_when_it_is_killed():
    """Neither what waits nor what works."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls,sleep", "COMMAND_TIMEOUT": "600"}) as tools:
        running = asyncio.create_task(tools.run_command("sleep 600"))
        await wait_until(lambda: any(each.name() == "sleep" for each in of(tools)))
        # Beside what works, processes wait for the next jobs.
        await wait_until(lambda: len(of(tools)) > 4)
        processes = of(tools)
        await tools.program.stop(signal.SIGKILL)
        await asyncio.gather(running, return_exceptions=True)
        await wait_until(lambda: not any(alive(each) for each in processes))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_a_terminal_sends_to_all_leaves_no_job_behind(number: signal.Signals):
    """Who looks after a job hears the end from the executor, not before it."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls,sleep", "COMMAND_TIMEOUT": "600", "DRAIN_TIMEOUT": "0"}) as tools:
        running = asyncio.create_task(tools.run_command("sleep 600"))
        await wait_until(lambda: any(each.name() == "sleep" for each in of(tools)))
        processes = of(tools)
        for pid in (each.pid for each in processes if os.getpgid(each.pid) == os.getpgid(tools.program.pid)):
            os.kill(pid, number)
        assert await tools.program.stop(number) == 0
        await asyncio.gather(running, return_exceptions=True)
        await wait_until(lambda: not any(alive(each) for each in processes))


def alive(process: psutil.Process) -> bool:
    """Whether it is there, and not only waiting to be reaped."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def of(tools: ToolsProgram) -> list[psutil.Process]:
    """The processes below the executor."""
    return psutil.Process(tools.program.pid).children(recursive=True)


async def test_no_descriptor_is_left_to_the_garbage_collector():
    """Neither by processes that did a job, nor by those that waited for one: Python would warn of it at their end."""
    async with ToolsProgram({"PYTHONWARNINGS": "default", "ALLOWED_COMMANDS": "ls"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        for _ in range(3):
            assert isinstance((await tools.run_job(RunCommand("ls"))).end, CommandResult)
            assert isinstance((await tools.run_job(ReadFile("a.txt"))).end, FileContent)
        assert await tools.program.stop(signal.SIGTERM) == 0
        assert "Warning" not in tools.read_log()


async def test_outputs_that_are_merged_keep_their_order():
    """One pipe for both: what came first is first, however fast it was written; without that they come apart."""
    text = "".join(f"echo o{number}; echo e{number} >&2; " for number in range(50))
    expected = "".join(f"o{number}\ne{number}\n" for number in range(50)).encode()
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls,cat,echo"}) as tools:
        for _ in range(5):
            output = await tools.run_job(RunCommand(text, merge_streams=True))
            assert (output.stdout, output.stderr, output.returncode) == (expected, b"", 0)
        given = await tools.run_job(
            RunCommand("cat; ls /nowhere-at-all; echo last", stdin="first\n", merge_streams=True)
        )
        first, *_, last = given.stdout.splitlines()
        assert (first, last, given.stderr) == (b"first", b"last", b"")
        apart = await tools.run_job(RunCommand("echo out; echo err >&2"))
        assert (apart.stdout, apart.stderr) == (b"out\n", b"err\n")


async def test_command_that_is_too_long_is_refused_and_the_longest_runs():
    """The kernel would not take it; it is said, rather than that nothing comes of it."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "echo"}) as tools:
        for size in (MAX_COMMAND_BYTES + 1, 2 * MAX_COMMAND_BYTES):
            refused = (await tools.run_command("echo yes #".ljust(size, "x"))).failure
            assert refused.kind is ErrorKind.TOO_LARGE
            assert refused.detail.startswith("command: ")
        output = await tools.run_command("echo yes #".ljust(MAX_COMMAND_BYTES, "x"))
        assert (output.stdout, output.returncode) == (b"yes\n", 0)


async def test_lines_of_a_large_file_are_read():
    """Its end, too; all of it is too large."""
    async with ToolsProgram({"READ_LIMIT_MB": "1"}) as tools:
        place = tools.root / "large.log"
        place.write_text("".join(f"line {number} {'x' * 90}\n" for number in range(1, 30_001)))
        size = place.stat().st_size
        assert (await tools.run_job(ReadFile("large.log"))).failure.kind is ErrorKind.TOO_LARGE
        end = (await tools.run_job(ReadFile("large.log", 29_999, 2000))).end
        assert isinstance(end, FileContent)
        assert (end.size, end.lines, end.first_line, end.truncated) == (size, 30_000, 29_999, False)
        assert [line.split()[1] for line in (end.text or "").splitlines()] == ["29999", "30000"]
        most = (await tools.run_job(ReadFile("large.log", 2))).end
        assert isinstance(most, FileContent)
        assert most.truncated
        assert most.text
        assert most.text.startswith("line 2 ")
        assert (1 << 20) - 100 < len(most.text) <= 1 << 20
        place.write_bytes(b"x" * (1 << 20) + b"\0")
        assert (await tools.run_job(ReadFile("large.log", 1, 10))).failure.kind is ErrorKind.TOO_LARGE
        with place.open("wb") as file:
            file.truncate(100 << 30)
        assert (await tools.run_job(ReadFile("large.log", 1, 10))).failure.kind is ErrorKind.TOO_LARGE


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (RunCommand("ls", ""), "cwd is empty"),
        (ReadFile(""), "the path is empty"),
        (ReadFile("x", 2_000_000_000), "offset: must be from 1 to 1000000000"),
        (ReadFile("x", 0), "offset: must be from 1"),
        (SearchFiles("x", after=2_000_000_000), "after: must be from 0"),
    ],
)
async def test_refusal_names_what_is_wrong(job: ToolJob, words: str, plain: ToolsProgram):
    """And nothing else."""
    refused = (await plain.run_job(job)).failure
    assert refused.kind is ErrorKind.BAD_JOB
    assert refused.detail.startswith(words), refused


async def test_edit_that_fails_says_so_without_a_name_that_nobody_gave(plain: ToolsProgram):
    """What the model calls `old_string` has another name here."""
    place = plain.writable / "a.txt"
    place.write_text("two two\n")
    for old, words in (("none", "the text to replace is not in"), ("two", "2 times"), ("", "is empty")):
        detail = (await plain.run_job(EditFile(str(place), old, "x"))).failure.detail
        assert words in detail
        assert not detail.startswith("old:")


@pytest.fixture(scope="module")
async def plain() -> AsyncGenerator[ToolsProgram]:
    """An executor as it comes."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls"}) as tools:
        yield tools
