"""Work through MCP, told of as it goes on and ended when its client wants no more: no process of it is left."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest
from mcp import Client
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from tests.clients.test_mcp import bridge
from tests.support.mcp_client import PROTOCOL_MODES, connect_client, get_text
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT


class ProgressLog:
    """What a client was told on the way. Mutable: all of it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._changed = asyncio.Condition()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        async with self._changed:
            self.messages.append(message or "")
            self._changed.notify_all()

    async def of(self, text: str) -> None:
        """Wait until something with this text was told."""
        async with self._changed:
            await self._changed.wait_for(lambda: any(text in message for message in self.messages))


@contextlib.asynccontextmanager
async def connect(stack: Stack, how: str) -> AsyncGenerator[Client]:
    """A client of an era, over HTTP; or through the bridge."""
    if how == "bridge":
        async with Client(stdio_client(bridge(stack, "--url", stack.url)), mode="legacy") as client:
            yield client
    else:
        async with connect_client(stack, how) as client:
            yield client


def followers(stack: Stack, file: Path) -> list[psutil.Process]:
    """The processes that follow a file."""
    assert stack.tools
    found: list[psutil.Process] = []
    for process in psutil.Process(stack.tools.pid).children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and str(file) in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


async def free(stack: Stack) -> bool:
    """Whether no job of any kind runs or waits."""
    health = await stack.fetch_health()
    return bool(health) and not any(
        each["running"] or each["waiting"] for each in (*health["executors"], *health["tools"])
    )


@pytest.fixture
def endless(tools_stack: Stack) -> Path:
    """A file that a command follows until it is ended."""
    file = tools_stack.files / "endless.log"
    file.write_text("first line\n")
    return file


@pytest.mark.wire(79)
@pytest.mark.parametrize("how", [*PROTOCOL_MODES, "bridge"])
async def test_a_command_ends_with_the_call_that_is_cancelled(tools_stack: Stack, endless: Path, how: str):
    """Its process is gone, its place is free, and the session goes on."""
    progress = ProgressLog()
    async with asyncio.timeout(TEST_TIMEOUT), connect(tools_stack, how) as client:
        call = asyncio.create_task(
            client.call_tool("bash", {"command": f"tail -f {endless}"}, progress_callback=progress)
        )
        await progress.of("first line")
        assert followers(tools_stack, endless)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await wait_until(lambda: not followers(tools_stack, endless))
        await wait_until(lambda: free(tools_stack))
        assert get_text(await client.call_tool("bash", {"command": "echo again"})) == "again"


@pytest.mark.parametrize("how", [*PROTOCOL_MODES, "bridge"])
async def test_work_is_told_of_and_ends_with_the_call_that_is_cancelled(
    tools_stack: Stack, upstream: Upstream, endless: Path, how: str
):
    """Words, the tool's start with its input, what it writes; then nothing of it runs, and the model is not asked again."""
    arguments = json.dumps({"command": f"tail -f {endless}"})
    upstream.script(AnswerReply(("I ", "follow."), tools=[("toolu_1", "Bash", [arguments])]))
    progress = ProgressLog()
    async with asyncio.timeout(TEST_TIMEOUT), connect(tools_stack, how) as client:
        call = asyncio.create_task(client.call_tool("code", {"prompt": "Follow."}, progress_callback=progress))
        await progress.of("first line")
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await wait_until(lambda: not followers(tools_stack, endless))
        await wait_until(lambda: free(tools_stack))
    beginning = [
        message for message in progress.messages if message in {"I ", "follow."} or message.startswith("Bash: ")
    ]
    assert beginning == ["I ", "follow.", f"Bash: tail -f {endless}"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_addresses_that_are_no_allowed_file_read_nothing(tools_stack: Stack, mode: str):
    """However they are written; and the sentence says what would be one."""
    (tools_stack.files / "there").write_text("there")
    with contextlib.suppress(FileExistsError):
        (tools_stack.files / "out").symlink_to("/etc/hostname")
    inside = tools_stack.files.as_uri()
    unknown = [
        "there",
        "http://localhost/etc/hostname",
        f"file://elsewhere{tools_stack.files}/there",
        "file://[",
        f"{inside}/%00",
    ]
    outside = [
        "file:///etc/hostname",
        f"{inside}/../../../etc/hostname",
        f"{inside}/%2e%2e/%2e%2e/etc/hostname",
        f"{inside}/out",
    ]
    async with connect_client(tools_stack, mode) as client:
        [found] = (await client.read_resource(f"{inside}/there")).contents
        assert getattr(found, "text", None) == "there"
        for address in (*unknown, *outside, f"{inside}/nothing"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(address)
            assert caught.value.error.code == (-32002 if mode == "legacy" else -32602) or address in outside
            assert caught.value.error.message
            if address in unknown:
                assert "Resources are file:///" in caught.value.error.message
