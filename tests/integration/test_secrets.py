"""The credential reaches the executor's CLI and nothing else; what clients say and send as keys reaches no log."""

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.chat import parse_text, send_chat
from tests.support.scripted.upstream import Upstream
from tests.support.stack import API_KEY, Stack, kill_if_running, wait_until

SECRET = "sk-ant-api03-7uAqXw2invented9ZkLm"
PROMPT = "a very private question 5fJ2"
NAMES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


def environment(pid: int) -> bytes:
    """What a process was started with."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def memory(pid: int) -> bytes:
    """Everything that a process can read of itself, but for devices."""
    seen: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if found and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                start, end = (int(part, 16) for part in found.groups())
                with contextlib.suppress(OSError):
                    mem.seek(start)
                    seen.append(mem.read(end - start))
    return b"\n".join(seen)


async def test_the_credential_is_nowhere_in_the_api(upstream: Upstream):
    """Neither in its environment nor in its memory, although the API was started with it by mistake."""
    async with Stack(
        upstream.url, credential={"ANTHROPIC_API_KEY": SECRET}, api_settings=dict.fromkeys(NAMES, SECRET)
    ) as stack:
        assert parse_text(await send_chat(stack, PROMPT)) == "Hello world!"
        await stack.client.get("/v1/models")
        assert upstream.requests[0].headers["x-api-key"] == SECRET

        assert API_KEY.encode() in environment(stack.api.pid)
        assert SECRET.encode() not in environment(stack.api.pid)
        held = memory(stack.api.pid)
        assert API_KEY.encode() in held
        assert SECRET.encode() not in held
        assert SECRET.encode() in memory(stack.executors[0].pid)

        command_lines = [part for cli in stack.list_clis() for part in cli.cmdline()]
        assert command_lines
        assert not any(SECRET in part or PROMPT in part for part in command_lines)


@pytest.mark.wire(44)
async def test_no_log_has_a_secret_or_a_word_of_a_client(upstream: Upstream):
    """At the level that says most, when things go wrong too."""
    async with Stack(upstream.url, credential={"ANTHROPIC_API_KEY": SECRET}) as stack:
        assert parse_text(await send_chat(stack, PROMPT)) == "Hello world!"
        wrong = await send_chat(stack, PROMPT, headers={"authorization": "Bearer a-wrong-key-0815"})
        assert wrong.status_code == 401
        assert (await send_chat(stack, PROMPT, model="no-such-model")).status_code == 404
        assert (await stack.client.post("/v1/chat/completions", content=PROMPT)).status_code == 400
        for cli in stack.list_clis():
            kill_if_running(cli)
        await send_chat(stack, PROMPT, headers={"x-request-id": "the-last"})
        # The line of a request is written after its response.
        last = "path=/v1/chat/completions", "request_id=the-last"
        await wait_until(lambda: any(all(word in line for word in last) for line in stack.read_logs().splitlines()))
        logs = "".join(path.read_text(encoding="utf-8") for path in stack.folder.glob("*.log"))
        assert "answered" in logs
        for word in (SECRET, API_KEY, PROMPT, "a-wrong-key-0815"):
            assert word not in logs


async def test_what_is_in_the_run_folder_is_for_its_owner(stack: Stack):
    """Sockets for owner and group, private folders for the owner."""
    assert stack.run_dir.stat().st_mode & 0o777 == 0o750
    for path in stack.run_dir.iterdir():
        allowed = 0o660 if path.suffix == ".sock" else 0o700
        assert path.stat().st_mode & 0o777 & ~allowed == 0, path
