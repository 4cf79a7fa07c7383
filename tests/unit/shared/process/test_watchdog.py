"""A process whose loop stands still is ended by the kernel, whatever it does."""

import asyncio
import signal
import sys

import pytest

from tests.support.stack import REPOSITORY
from tests.support.timeouts import TEST_TIMEOUT

PROGRAM = """
import asyncio, re, sys, time
from shared.process.watchdog import end_when_stalled
async def main():
    watching = asyncio.create_task(end_when_stalled(float(sys.argv[1])))
    await asyncio.sleep(0.1)
    print("begun", flush=True)
    {work}
    watching.cancel()
    await asyncio.wait([watching])
    time.sleep({after})
    print("done", flush=True)
asyncio.run(main())
"""
# The first holds the interpreter, so that no other thread of it runs.
STALLS = {
    "a pattern": "re.match('(a+)+$', 'a' * 60 + '!')",
    "a loop": "\n    while True: pass",
    "a wait": "time.sleep(600)",
}


async def run(work: str, seconds: float, after: float = 0) -> tuple[int, str, str]:
    """How a process ends that does this, and what it writes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM.format(work=work, after=after), str(seconds)),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TEST_TIMEOUT):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("stall", STALLS)
async def test_a_loop_that_stands_still_ends_its_process(stall: str):
    """The places in the code are told."""
    status, out, err = await run(STALLS[stall], 1)
    assert (status, out) == (-signal.SIGALRM, "begun\n")
    assert "most recent call first" in err
    assert "in main" in err


async def test_a_loop_that_goes_on_is_left_alone():
    """For longer than the time, if it never stands still so long; nor after it was cancelled, nor where it is off."""
    assert await run("[await asyncio.sleep(0.3) for _ in range(8)]", 1.5, after=1.6) == (0, "begun\ndone\n", "")
    assert await run("time.sleep(1.5)", 0) == (0, "begun\ndone\n", "")
