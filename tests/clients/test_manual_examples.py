"""The examples of the documents run unchanged against the real programs, and print the model's answer."""

import os
import sys
from pathlib import Path

import pytest

from tests.support import node
from tests.support.manual import find_example
from tests.support.recorder.clients import CLIENTS, Client
from tests.support.recorder.recording import Session
from tests.support.scripted.upstream import Upstream
from tests.support.stack import API_KEY, Stack
from tests.support.timeouts import TEST_TIMEOUT

PYTHON = ("openai_python", "anthropic_python", "openai_agents", "langchain")
NODE = ("openai_node", "anthropic_node", "ai_sdk", "ai_sdk_more")
PACKAGES = node.Packages(
    "node-clients",
    (
        *("openai@6.49.0", "@anthropic-ai/sdk@1.13.0", "ai@6.0.326", "zod@4.6.7"),
        *("@ai-sdk/openai@3.0.141", "@ai-sdk/openai-compatible@2.0.92", "@ai-sdk/anthropic@3.0.140"),
    ),
)
RECORDER = Path(__file__).parent.parent / "support" / "recorder"


def script_model(upstream: Upstream, client: Client) -> None:
    """Puts this client's scripted model behind the server."""
    upstream.script(Session("", client.call, client.answer, []).model())


def build_environment(stack: Stack, folder: Path) -> dict[str, str]:
    """Builds the example's environment: the key, and no access to the network."""
    dead_proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KEY": API_KEY,
        "URL": stack.url,
        "NO_PROXY": "127.0.0.1",
        **dead_proxies,
    }


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
    if reason := await PACKAGES.install():
        pytest.skip(reason)
    client = CLIENTS[name]
    script_model(upstream, client)
    program_file = RECORDER / f"{name}.js"
    program = tmp_path / "example.mjs"
    program.write_text(
        program_file.read_text() if program_file.exists() else find_example(client.title, client.language, stack.url)
    )
    (tmp_path / "node_modules").symlink_to(PACKAGES.folder / "node_modules")
    status, output = await node.run(
        node.NODE, str(program), timeout=TEST_TIMEOUT, cwd=tmp_path, environment=build_environment(stack, tmp_path)
    )
    assert status == 0, output
    assert "All done." in output
    assert len(upstream.requests) >= (2 if client.call else 1)
