"""The programs under what their units ask for: systemd's own filters, laid by libseccomp, and the mounts of the tools unit."""

import ctypes.util
import os
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.support.chat import collect_chunks, join_text, parse_text, send_chat
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack

ORDINARY = "4711"

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="this test run is not root, so it can't do what systemd does"),
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"),
    pytest.mark.skipif(ctypes.util.find_library("seccomp") is None, reason="libseccomp is not installed"),
]


@asynccontextmanager
async def under_units(upstream: Upstream, tools: Mapping[str, str] | None = None) -> AsyncGenerator[Stack]:
    """Everything, each under its own unit; the tools executor as an ordinary user."""
    stack = Stack(
        upstream.url,
        executor_module="tests.support.under_unit",
        api_settings={"UNDER_GROUPS": ORDINARY},
        tools={"UNDER_UID": ORDINARY, "ALLOWED_COMMANDS": "ls,cat,echo", **(tools or {})},
    )
    # As systemd has it, each has its own folder.
    (stack.run_dir / "tools").mkdir(parents=True)
    os.chown(stack.run_dir / "tools", int(ORDINARY), int(ORDINARY))
    assert stack.tools
    stack.tools._environment["RUN_DIR"] = str(stack.run_dir / "tools")
    stack.api._arguments = ["tests.support.under_unit"]
    stack.tools._arguments = ["tests.support.under_unit", *stack.tools._arguments[1:]]
    async with stack:
        (stack.files / "notes.txt").write_text("hello\n")
        yield stack


async def run(stack: Stack, command: str) -> str:
    """All that came of a command."""
    response = await stack.client.post("/api/tools/bash", json={"command": command})
    assert response.status_code == 200, response.text
    return response.json()["stdout"] + response.json()["stderr"]


async def test_all_three_do_their_work_under_their_units(upstream: Upstream):
    """The API without memory that is written and run, the CLI in its sandbox, commands in theirs."""
    async with under_units(upstream) as stack:
        assert parse_text(await send_chat(stack)) == "Hello world!"
        assert join_text(await collect_chunks(stack)) == "Hello world!"
        health = await stack.fetch_health()
        assert health
        [executor], [tools] = health["executors"], health["tools"]
        assert executor["missing"] == []
        # The executor may make no mounts of its own there; the unit's hold what matters.
        assert "libraries" not in " ".join(tools["missing"])
        assert await run(
            stack, f"cat {stack.files}/notes.txt; echo made > {stack.work}/made; cat {stack.work}/made"
        ) == ("hello\nmade\n")
        for forbidden in ("cat /etc/passwd", f"cat {stack.api.log}", f"ls {stack.run_dir}"):
            assert "Permission denied" in await run(stack, forbidden)


async def test_without_the_unit_s_mounts_commands_are_served_and_what_is_missing_is_said(upstream: Upstream):
    """The executor may make no mounts of its own there."""
    async with under_units(upstream, {"UNDER_MOUNTS": "no"}) as stack:
        health = await stack.fetch_health()
        assert health
        [missing] = health["tools"][0]["missing"]
        assert "libraries" in missing
        assert await run(stack, f"cat {stack.files}/notes.txt") == "hello\n"
