"""The Messages API as a script, and the real CLI that talks to it."""

import contextlib
import importlib.util
import os
import signal
from asyncio import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec

CLI_FLAGS = (
    *("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
    *("--include-partial-messages", "--no-session-persistence", "--strict-mcp-config"),
    *("--setting-sources", "", "--tools", "", "--disable-slash-commands", "--bare"),
)
QUIET_ENVIRONMENT = (
    *("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY"),
    *("DISABLE_AUTOUPDATER", "DISABLE_ERROR_REPORTING"),
)


class Cli:
    """The real CLI, driven without any code of the executor's."""

    def __init__(self, process: subprocess.Process) -> None:
        self.process = process

    def write(self, value: dict[str, Any]) -> None:
        """Write one line to it."""
        assert self.process.stdin
        self.process.stdin.write(msgspec.json.encode(value) + b"\n")

    def send_message(self, content: Any) -> None:
        """Write a user message to it."""
        message = {"role": "user", "content": content}
        said = {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
        self.write({**said, "client_composed": True})

    async def read(self, kind: str) -> Any:
        """The next line of this type, or the next event of this type from the service."""
        assert self.process.stdout
        while raw := await self.process.stdout.readline():
            line = msgspec.json.decode(raw)
            if line["type"] == kind:
                return line
            if line["type"] == "stream_event" and line["event"]["type"] == kind:
                return line["event"]
        raise AssertionError(f"the CLI ended without a line of type {kind}")


@contextlib.asynccontextmanager
async def start_cli(base_url: str, folder: Path) -> AsyncGenerator[Cli]:
    """A CLI that talks to `base_url` and has `folder` for its own; its process group ends with the block."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    assert spec
    assert spec.submodule_search_locations
    process = await subprocess.create_subprocess_exec(
        str(Path(spec.submodule_search_locations[0]) / "_bundled" / "claude"),
        *CLI_FLAGS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={
            **dict.fromkeys(QUIET_ENVIRONMENT, "1"),
            "PATH": os.defpath,
            "HOME": str(folder),
            "CLAUDE_CONFIG_DIR": str(folder / "config"),
            "TMPDIR": str(folder),
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_API_KEY": "sk-ant-invented",
        },
        limit=64 * 1024 * 1024,
        start_new_session=True,
    )
    try:
        yield Cli(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
