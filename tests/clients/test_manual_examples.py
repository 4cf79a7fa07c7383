"""The manual's examples run as they stand there, against the real programs: the model is asked, and its answer printed."""

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


def scripted(upstream: Upstream, client: Client) -> None:
    """Put this client's model behind the server."""
    upstream.script(Session("", client.call, client.answer, []).model())


def environment(stack: Stack, folder: Path) -> dict[str, str]:
    """What the example may see: the key, and no way out."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KEY": API_KEY,
        "URL": stack.url,
        "NO_PROXY": "127.0.0.1",
        **nowhere,
    }


@pytest.mark.wire(61)
@pytest.mark.parametrize("name", PYTHON)
async def test_an_example_in_python_runs(stack: Stack, upstream: Upstream, tmp_path: Path, name: str):
    """Those of the libraries that are here anyway."""
    client = CLIENTS[name]
    scripted(upstream, client)
    program = tmp_path / "example.py"
    program.write_text(find_example(client.title, client.language, stack.url))
    status, said = await node.run(
        sys.executable, str(program), timeout=TEST_TIMEOUT, cwd=tmp_path, environment=environment(stack, tmp_path)
    )
    assert status == 0, said
    assert "All done." in said
    assert len(upstream.requests) >= (2 if client.call else 1)


@pytest.mark.wire(50, 61, 76)
@pytest.mark.parametrize("name", NODE)
async def test_an_example_in_javascript_runs(stack: Stack, upstream: Upstream, tmp_path: Path, name: str):
    """By the versions that the manual names."""
    if reason := await PACKAGES.install():
        pytest.skip(reason)
    client = CLIENTS[name]
    scripted(upstream, client)
    own = RECORDER / f"{name}.js"
    program = tmp_path / "example.mjs"
    program.write_text(own.read_text() if own.exists() else find_example(client.title, client.language, stack.url))
    (tmp_path / "node_modules").symlink_to(PACKAGES.folder / "node_modules")
    status, said = await node.run(
        node.NODE, str(program), timeout=TEST_TIMEOUT, cwd=tmp_path, environment=environment(stack, tmp_path)
    )
    assert status == 0, said
    assert "All done." in said
    assert len(upstream.requests) >= (2 if client.call else 1)
