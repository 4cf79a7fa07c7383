"""Shell text that takes long to read: its job is refused, and nobody else waits meanwhile."""

import asyncio
import time

import pytest

from shared.errors import ErrorKind
from shared.tool_jobs import MAX_COMMAND_BYTES, FileContent, ReadFile
from tests.support.tools import ToolsProgram

pytestmark = [pytest.mark.anyio, pytest.mark.attack("Long texts")]

STALL = 0.5


def filled(piece: str, end: str = "") -> str:
    return piece * (MAX_COMMAND_BYTES // len(piece) - 1) + end


TEXTS = {
    "assignments in assignments": "a=(" * 7_000,
    "as many as may be": filled("a=("),
    "here-documents": "\n".join(f"cat <<E{number}" for number in range(9_000)),
    "substitutions in substitutions": filled("$("),
    "quoted substitutions": filled('"$('),
    "expansions in expansions": filled("${a:-"),
    "arithmetic": filled("(("),
    "backquotes": filled("`\\"),
    "brackets": filled("[[ ("),
    "functions": filled("f() {"),
    "cases": filled("case a in a) "),
    "loops": filled("while "),
    "pipes": filled("cat|", "cat"),
    "words": filled("cat ", ";"),
}


@pytest.mark.parametrize("name", TEXTS)
async def test_a_long_text_holds_nobody_up(tools: ToolsProgram, name: str):
    """It is read by its own job's process, which has a second for it."""
    job = asyncio.create_task(tools.run_command(TEXTS[name][:MAX_COMMAND_BYTES]))
    longest = 0.0
    while not job.done():
        start = time.monotonic()
        await tools.fetch_status()
        longest = max(longest, time.monotonic() - start)
        await asyncio.sleep(0.02)
    await job
    assert longest < STALL
    assert isinstance((await tools.run_job(ReadFile("a.txt"))).end, FileContent)


async def test_what_takes_too_long_is_refused(tools: ToolsProgram):
    """With what to do about it."""
    start = time.monotonic()
    refused = (await tools.run_command(TEXTS["as many as may be"])).failure
    assert refused.kind is ErrorKind.BAD_JOB
    assert "takes too long to parse" in refused.detail
    assert time.monotonic() - start < 20


@pytest.mark.control
async def test_a_long_text_that_is_simple_runs(tools: ToolsProgram):
    """Nearly the longest that is allowed, of many commands."""
    output = await tools.run_command("true\n" * (MAX_COMMAND_BYTES // 5 - 100) + "echo done")
    assert output.stdout == b"done\n", output
