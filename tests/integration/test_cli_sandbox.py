"""The real CLI in its sandbox: on every job, also when nothing needs it; and what is said where a host lacks it."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.chat import parse_text, send_chat
from tests.support.scripted.upstream import StalledReply, Upstream
from tests.support.stack import REPOSITORY, Stack

pytestmark = pytest.mark.anyio

CONFINED = {"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "NoNewPrivs": "1"}


def read_kernel_status(process: psutil.Process) -> dict[str, str]:
    """What the kernel says of a process, proc_pid_status(5)."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_confined(process: psutil.Process) -> bool:
    """No capability, none to gain, a filter of system calls; and it can't dump its memory."""
    status = read_kernel_status(process)
    return (
        CONFINED.items() <= status.items() and status["Seccomp"] == "2" and process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    )


async def test_every_cli_is_confined_idle_or_not(stack: Stack, upstream: Upstream):
    """The one that waits, the one that answers, and one that was started for a budget of its own."""
    assert is_confined(await stack.find_idle_cli())
    upstream.script(StalledReply("one"), StalledReply("two"))
    requests = [asyncio.create_task(each) for each in (send_chat(stack), send_chat(stack, max_budget_usd=1))]
    await upstream.wait_until(lambda: len(upstream.held) == 2)
    clis = stack.list_clis()
    assert len(clis) >= 2
    assert all(is_confined(cli) for cli in clis)
    await upstream.release()
    assert {parse_text(await each) for each in requests} == {"one", "two"}


async def test_on_this_host_nothing_is_missing_or_it_is_said(stack: Stack):
    """Whoever has the key sees it; whoever has none sees nothing of the host."""
    health = await stack.fetch_health()
    assert health
    assert health["executors"][0]["missing"] == []
    without = (await stack.client.get("/health", headers={"authorization": ""})).json()
    assert "missing" not in without["executors"][0]


async def test_without_landlock_chat_works_and_health_says_what_is_missing(upstream: Upstream):
    """And the log does, at start."""
    async with Stack(upstream.url, executor_module="tests.support.without_landlock") as stack:
        assert parse_text(await send_chat(stack)) == "Hello world!"
        assert read_kernel_status(await stack.find_idle_cli())["Seccomp"] == "2"
        health = await stack.fetch_health()
        assert health
        assert health["status"] == "ok"
        assert "no Landlock" in health["executors"][0]["missing"][0]
        assert "boot one of 5.13 or newer" in stack.read_logs()


async def started(environment: dict[str, str]) -> tuple[int | None, str]:
    """Start an executor that is to refuse; its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "executor", "--role", "claude"), cwd=REPOSITORY, env=environment, stderr=-1
    )
    _, output = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


async def test_a_cli_that_is_a_script_is_refused_at_start(tmp_path: Path):
    """The sandbox runs one program; the message names the setting and the fix."""
    script = tmp_path / "claude"
    script.write_text("#!/bin/sh\nexec claude\n", encoding="utf-8")
    script.chmod(0o700)
    environment = {"PATH": os.environ["PATH"], "RUN_DIR": str(tmp_path / "run"), "CLAUDE_CLI_PATH": str(script)}
    code, output = await started(environment)
    assert (code, "CLAUDE_CLI_PATH: " in output) == (2, True), output
    assert "is a script" in output
    assert "leave it out" in output


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another user")
async def test_a_login_of_another_user_is_refused_at_start(tmp_path: Path):
    """A CLI that root starts has no rights over others, so it could not read it."""
    login = tmp_path / ".credentials.json"
    login.write_text("{}", encoding="utf-8")
    login.chmod(0o600)
    os.chown(login, 4711, 4711)
    environment = {"PATH": os.environ["PATH"], "RUN_DIR": str(tmp_path / "run"), "CLAUDE_CONFIG_DIR": str(tmp_path)}
    code, output = await started(environment)
    assert (code, "CLAUDE_CONFIG_DIR: " in output) == (2, True), output
    assert "user 4711" in output
