"""The examples of the documents run unchanged against the real programs, and print the model's answer."""

import sys
from pathlib import Path

import pytest

from tests.support import node
from tests.support.client_programs import NODE_CLIENTS, build_environment
from tests.support.manual import find_example
from tests.support.recorder.clients import CLIENTS, Client
from tests.support.recorder.recording import Session
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

PYTHON = ("openai_python", "anthropic_python", "openai_agents", "langchain")
NODE = ("openai_node", "anthropic_node", "ai_sdk", "ai_sdk_more")
RECORDER = Path(__file__).parent.parent / "support" / "recorder"


def script_model(upstream: Upstream, client: Client) -> None:
    """Puts this client's scripted model behind the server."""
    upstream.script(Session("", client.call, client.answer, []).model())


@pytest.mark.wire(61)
@pytest.mark.parametrize("name", PYTHON)
async def test_an_example_in_python_runs(stack: Stack, upstream: Upstream, tmp_path: Path, name: str):
    """The libraries are installed with the tests."""
    client = CLIENTS[name]
    script_model(upstream, client)
    program = tmp_path / "example.py"
    program.write_text(find_example(client.title, client.language, stack.url))
    status, output = await node.run(
        sys.executable, str(program), timeout=TEST_TIMEOUT, cwd=tmp_path, environment=build_environment(stack, tmp_path)
    )
    assert status == 0, output
    assert "All done." in output
    assert len(upstream.requests) >= (2 if client.call else 1)


@pytest.mark.wire(50, 61, 76)
@pytest.mark.parametrize("name", NODE)
async def test_an_example_in_javascript_runs(stack: Stack, upstream: Upstream, tmp_path: Path, name: str):
    """With the versions that the documents name."""
    if reason := await NODE_CLIENTS.install():
        pytest.skip(reason)
    client = CLIENTS[name]
    script_model(upstream, client)
    program_file = RECORDER / f"{name}.js"
    program = tmp_path / "example.mjs"
    program.write_text(
        program_file.read_text() if program_file.exists() else find_example(client.title, client.language, stack.url)
    )
    (tmp_path / "node_modules").symlink_to(NODE_CLIENTS.folder / "node_modules")
    status, output = await node.run(
        node.NODE, str(program), timeout=TEST_TIMEOUT, cwd=tmp_path, environment=build_environment(stack, tmp_path)
    )
    assert status == 0, output
    assert "All done." in output
    assert len(upstream.requests) >= (2 if client.call else 1)
