"""Agent loops of programs are continued by held processes: Claude Code, Codex, and the AI SDK."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support import node
from tests.support.client_programs import CLAUDE_CODE, CODEX, NODE_CLIENTS, build_claude_environment, build_environment
from tests.support.held_loops import ALL_HELD, DONE, QUESTION, STEPS, LoopModel, check_growth, count_conversations
from tests.support.manual import find_example
from tests.support.recorder.clients import CLIENTS
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

AI_SDK_LOOP = Path(__file__).parents[1] / "support" / "ai_sdk_loop.mjs"


async def check_session(
    stack: Stack, upstream: Upstream, folder: Path, environment: dict[str, str], *commands: tuple[str, ...]
) -> None:
    """Checks that all requests of a session are continued: each command asks one question, in a process of its own."""
    before = await count_conversations(stack)
    for command in commands:
        status, output = await node.run(*command, timeout=TEST_TIMEOUT, cwd=folder, environment=environment)
        assert status == 0, output
        assert output.rstrip().endswith(DONE)
    after = await count_conversations(stack)
    changes = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    requests = STEPS * len(commands)
    assert {reason: count for reason, count in changes.items() if count} == {"first_turn": 1, "held": requests - 1}
    check_growth(upstream.requests, requests)


async def test_claude_code(stack: Stack, upstream: Upstream, tmp_path: Path):
    """With its own tools; the second question continues the session in another process."""
    upstream.script(LoopModel("Bash", {"command": "echo {step}", "description": "says"}).reply)
    ask = (str(CLAUDE_CODE), "-p", QUESTION, "--model", "sonnet", "--allowedTools", "Bash")
    environment = build_claude_environment(stack, tmp_path)
    await check_session(stack, upstream, tmp_path, environment, ask, (*ask, "--continue"))


@pytest.mark.slow
async def test_codex(stack: Stack, upstream: Upstream, tmp_path: Path):
    """With its own tools; the second question resumes the session in another process."""
    if reason := await CODEX.install():
        pytest.skip(reason)
    upstream.script(LoopModel("exec_command", {"cmd": "echo {step}"}).reply)
    settings = tmp_path / ".codex" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(find_example(CLIENTS["codex"].title, "toml", stack.url))
    program = str(CODEX.folder / "node_modules/@openai/codex/bin/codex.js")
    options = ("-c", "analytics.enabled=false", "--skip-git-repo-check", "-s", "danger-full-access")
    ask = (node.NODE, program, "exec", *options)
    environment = build_environment(stack, tmp_path)
    await check_session(
        stack, upstream, tmp_path, environment, (*ask, QUESTION), (*ask, "resume", "--last", "And tomorrow?")
    )


@pytest.mark.parametrize("provider", ["responses", "chat", "compatible", "messages"])
@pytest.mark.parametrize("way", ["stream", "generate"])
async def test_the_ai_sdk(stack: Stack, upstream: Upstream, tmp_path: Path, provider: str, way: str):
    """By each of its providers."""
    if reason := await NODE_CLIENTS.install():
        pytest.skip(reason)
    upstream.script(LoopModel().reply)
    program = Path(shutil.copy(AI_SDK_LOOP, tmp_path))
    (tmp_path / "node_modules").symlink_to(NODE_CLIENTS.folder / "node_modules")
    status, output = await node.run(
        *(node.NODE, str(program), provider, way),
        timeout=TEST_TIMEOUT,
        cwd=tmp_path,
        environment=build_environment(stack, tmp_path),
    )
    assert status == 0, output
    answer = json.loads(output.splitlines()[-1])
    assert (answer["text"], answer["conversations"]) == (DONE, ALL_HELD)
    check_growth(upstream.requests)
