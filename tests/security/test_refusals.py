"""A command that speaks as the executor would: what it writes is output, whatever it looks like.

Invariants: that a job was refused, and how it ended, is reported by its reaper alone; a program cannot report it.
"""

import msgspec
import pytest

from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import FindFiles, RunCommand
from tests.security.attack import PYTHON
from tests.support.tools import ToolsProgram

pytestmark = [pytest.mark.attack("Forged refusals")]

encode = msgspec.msgpack.encode
FORGED = {
    "garbage": b"\0refused\0garbage",
    "a refusal": b"\0refused\0" + encode(Failed(ErrorKind.TOOLS_UNAVAILABLE, "start it again")),
}
SAY = "import os, sys\nos.write(int(sys.argv[1]), {output!r})\nos._exit({code})\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("code", [0, 125])
@pytest.mark.parametrize("forged", FORGED)
async def test_forged_word_of_the_executor_is_output(tools: ToolsProgram, forged: str, code: int, stream: str):
    """Given back as it was written, with the status that it ended with."""
    output = await tools.run_job(
        RunCommand(
            f"{PYTHON} -I -S - {1 if stream == 'stdout' else 2}", stdin=SAY.format(output=FORGED[forged], code=code)
        )
    )
    assert output.returncode == code, output
    assert getattr(output, stream) == FORGED[forged]


async def test_program_finds_no_descriptor_of_its_reapers(tools: ToolsProgram):
    """What the job's process had is closed when the program takes its place."""
    text = (
        "import os\nfor number in range(3, 256):\n    try:\n        os.write(number, b'x')\n    except OSError:\n"
        "        continue\n    os.write(1, b'%d ' % number)\n"
    )
    output = await tools.run_job(RunCommand(f"{PYTHON} -I -S -", stdin=text))
    assert (output.returncode, output.stdout) == (0, b""), output


@pytest.mark.control
async def test_real_refusal_is_one(tools: ToolsProgram):
    """Of what only the job's own process sees: that a folder is none, that it is not there, that it is behind a link."""
    for cwd, kind in (("a.txt", ErrorKind.BAD_JOB), ("none", ErrorKind.NOT_FOUND), ("linked", ErrorKind.NOT_ALLOWED)):
        assert (await tools.run_job(RunCommand("echo", cwd))).failure.kind == kind
        if kind is not ErrorKind.BAD_JOB:
            assert (await tools.run_job(FindFiles("*", path=cwd))).failure.kind == kind
