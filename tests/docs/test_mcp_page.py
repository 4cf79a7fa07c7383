"""The examples for MCP programs work: they are JSON, lead to this server, and run a command that exists."""

import json
import re

import pytest

from cli.__main__ import main
from tests.support.manual import list_code_blocks, read_page

SNIPPETS = [json.loads(text) for language, text in list_code_blocks(read_page("mcp")) if language == "json"]


def test_each_program_has_its_lines():
    """Claude Desktop, Cursor, VS Code and Claude Code."""
    text = read_page("mcp")
    assert [name for name in ("Claude Desktop", "Cursor", "VS Code", "Claude Code") if name not in text] == []
    assert len(SNIPPETS) >= 3


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_lines_are_what_such_programs_read(snippet: dict):
    """One server under the one key that they look for, reached by an address and the key, or by a command and its key."""
    [(place, servers)] = snippet.items()
    assert place in {"mcpServers", "servers"}
    [(name, server)] = servers.items()
    assert re.fullmatch(r"[a-z-]+", name)
    if "url" in server:
        assert server["url"] == "http://127.0.0.1:8020/mcp"
        assert server["headers"] == {"Authorization": "Bearer KEY"}
        assert set(server) - {"type"} == {"url", "headers"}
        assert server.get("type", "http") == "http"
        return
    assert server["command"].endswith("/.venv/bin/claude-api-server")
    command, *options = server["args"]
    known = {flag for option in main.commands[command].params for flag in option.opts}  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess]
    assert {option for option in options if option.startswith("--")} <= known
    assert set(server["env"]) == {"API_SECRET_TOKEN"}
