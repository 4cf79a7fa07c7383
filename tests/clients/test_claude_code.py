"""The Claude Code CLI itself, as a client of this server: its own tools run at its side."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import claude_agent_sdk
import pytest

from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT

BINARY = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"


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
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / "config"),
        "TMPDIR": str(home),
        "ANTHROPIC_BASE_URL": stack.url,
        "ANTHROPIC_API_KEY": API_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    process = await asyncio.create_subprocess_exec(
        *(BINARY, "-p", "say it", "--model", "sonnet", "--allowedTools", "Bash"),
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
