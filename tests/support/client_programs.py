"""Clients that are programs: where they are, and their environment."""

import os
from pathlib import Path

import claude_agent_sdk

from tests.support import node
from tests.support.stack import API_KEY, Stack

CLAUDE_CODE = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"
CODEX = node.Packages("codex", ("@openai/codex@0.169.0",))
NODE_CLIENTS = node.Packages(
    "node-clients",
    (
        *("openai@6.49.0", "@anthropic-ai/sdk@1.13.0", "ai@6.0.326", "zod@4.6.7"),
        *("@ai-sdk/openai@3.0.141", "@ai-sdk/openai-compatible@2.0.92", "@ai-sdk/anthropic@3.0.140"),
    ),
)


def build_environment(stack: Stack, folder: Path) -> dict[str, str]:
    """Builds a client's environment: a home, the key and the address of the server, and no access to the network."""
    dead_proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KEY": API_KEY,
        "URL": stack.url,
        "NO_PROXY": "127.0.0.1",
        **dead_proxies,
    }


def build_claude_environment(stack: Stack, folder: Path) -> dict[str, str]:
    """Builds the environment of Claude Code."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLAUDE_CONFIG_DIR": str(folder / "config"),
        "TMPDIR": str(folder),
        "ANTHROPIC_BASE_URL": stack.url,
        "ANTHROPIC_API_KEY": API_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
