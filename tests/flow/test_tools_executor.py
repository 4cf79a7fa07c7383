"""The tools executor as a program: what it leaves behind."""

import signal

from shared.jobs import CommandEnded, FileRead, ReadFile, RunCommand
from tests.tools import Tools


async def test_no_descriptor_is_left_to_the_garbage_collector():
    """Neither by processes that did a job, nor by those that waited for one: Python would warn of it at their end."""
    async with Tools({"PYTHONWARNINGS": "default", "ALLOWED_COMMANDS": "ls"}) as tools:
        (tools.root / "a.txt").write_text("hello\n")
        for _ in range(3):
            assert isinstance((await tools.do(RunCommand("ls"))).end, CommandEnded)
            assert isinstance((await tools.do(ReadFile("a.txt"))).end, FileRead)
        assert await tools.program.end(signal.SIGTERM) == 0
        assert "Warning" not in tools.log()
