"""The Claude Code CLI itself, as a client of this server: its own tools run at its side."""

import asyncio
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.client_programs import CLAUDE_CODE, build_claude_environment
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def home() -> Generator[Path]:
    """A private home."""
    folder = Path(tempfile.mkdtemp(prefix="cas-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.wire(73)
async def test_claude_code_runs_a_tool_and_answers(stack: Stack, upstream: Upstream, home: Path):
    """It asks, the model calls its Bash, it brings what the command said, the model answers."""
    upstream.script(
        AnswerReply(
            thinking="Hm.", tools=[("toolu_1", "Bash", ['{"command":"echo from-the-', 'client","description":"says"}'])]
        ),
        AnswerReply("All done."),
    )
    environment = build_claude_environment(stack, home)
    process = await asyncio.create_subprocess_exec(
        *(CLAUDE_CODE, "-p", "say it", "--model", "sonnet", "--allowedTools", "Bash"),
        cwd=home,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TEST_TIMEOUT):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert output.decode().strip() == "All done."
    last = [request for request in upstream.requests if request.is_message_request][-1]
    assert "from-the-client" in str(last.conversation[-1])
    assert "thinking" in {block["type"] for block in last.conversation[-2]["content"]}
    assert upstream.refused == []
