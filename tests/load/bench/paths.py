"""The ways to a first token that are compared: each takes the same chat and gives the milliseconds to its first words."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
from msgspec import Struct

from executor.claude.cli.control import build_apply_settings, build_initialize, encode_control_request, encode_query
from executor.claude.cli.handshake import await_acks, warm_up
from executor.claude.cli.launch import QUIET_ENVIRONMENT, Launch
from executor.claude.cli.process import CliProcess
from executor.claude.cli.protocol import Line, StreamEvent, parse_line
from executor.claude.request.body import build_request, build_settings
from executor.claude.request.model_rules import PERMISSIVE_RULES
from shared.turn import Message, Text, Tool, Turn
from tests.load.bench.client import Connection

TIMEOUT = 30.0
LINE_LIMIT = 1024 * 1024


class Chat(Struct, frozen=True):
    """One request, in the form of each path. tools: how many are offered, which a plain CLI can't be given."""

    prompt: str
    system: str = "s"
    model: str = "haiku"
    tools: int = 0

    def argv(self, binary: Path) -> tuple[str, ...]:
        """As the known wrappers call the CLI."""
        output = ("--verbose", "--output-format", "stream-json", "--include-partial-messages")
        chosen = ("--model", self.model, "--system-prompt", self.system, "--tools", "")
        return (str(binary), "-p", self.prompt, *output, *chosen)

    def turn(self) -> Turn:
        """As the executor gets it."""
        messages = (Message("user", (Text(self.prompt),)),)
        return Turn(self.model, messages, (self.system,), tools=tuple(tool(number) for number in range(self.tools)))

    def body(self) -> dict[str, object]:
        """As an OpenAI client sends it."""
        messages = [{"role": "system", "content": self.system}, {"role": "user", "content": self.prompt}]
        functions = [
            {"name": one.name, "description": one.description, "parameters": msgspec.Raw(one.schema.encode())}
            for one in self.turn().tools
        ]
        tools = [{"type": "function", "function": function} for function in functions]
        return {"model": self.model, "messages": messages, "stream": True, "tools": tools}


def tool(number: int) -> Tool:
    """A tool of an ordinary size."""
    names = ("query", "limit", "since", "author", "path", "recursive")
    properties = {name: {"type": "string", "description": f"The {name} to look for, if any."} for name in names}
    schema = {"type": "object", "properties": properties, "required": ["query"], "additionalProperties": False}
    described = "Looks things up in one of the places where things are kept, and tells what it found there, in order."
    return Tool(f"look_up_{number}", described, msgspec.json.encode(schema).decode())


async def fresh(launch: Launch, home: Path, chat: Chat) -> float:
    """Start the CLI for this one request. `home` is kept between calls, as a wrapper's user's is."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *chat.argv(launch.binary),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={
            **launch.inherited,
            **QUIET_ENVIRONMENT,
            **launch.credential.environment,
            "HOME": str(home),
            "CLAUDE_CONFIG_DIR": str(home / "config"),
            "TMPDIR": str(home),
            "ANTHROPIC_BASE_URL": str(launch.base_url),
        },
        cwd=home,
        limit=LINE_LIMIT,
        start_new_session=True,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(TIMEOUT):
            while not says(parse_line(await process.stdout.readline())):
                assert not process.stdout.at_eof(), "the CLI ended without a word"
            took = (time.perf_counter() - began) * 1000
            await process.communicate()
        return took
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@contextlib.asynccontextmanager
async def start_idle_cli(launch: Launch, base: Path) -> AsyncGenerator[CliProcess]:
    """A CLI that was started and warmed up as the executor does it."""
    process = await CliProcess.start(launch, base)
    try:
        async with asyncio.timeout(TIMEOUT):
            await warm_up(process, "sonnet")
        yield process
    finally:
        await process.clean_up()


async def direct(process: CliProcess, chat: Chat) -> float:
    """Drive an idle CLI by its stdin, with nothing in between."""
    began = time.perf_counter()
    async with asyncio.timeout(TIMEOUT):
        request = build_request(chat.turn(), PERMISSIVE_RULES, "5m")
        settings = build_apply_settings(build_settings(request, request.messages, needs_call=False))
        await process.write(
            encode_control_request("a", build_initialize(request.turn.system)) + encode_control_request("b", settings)
        )
        await await_acks(process, 2)
        await process.write(encode_query())
        while not says(await process.read()):
            pass
        return (time.perf_counter() - began) * 1000


async def server(connection: Connection, headers: dict[str, str], chat: Chat) -> float:
    """Ask the whole server."""
    took: float | None = None
    began = time.perf_counter()
    async for at, data in connection.post("/v1/chat/completions", chat.body(), headers):
        if took is None and data and data["choices"] and data["choices"][0]["delta"].get("content"):
            took = (at - began) * 1000
    assert took is not None, "the server answered without a word"
    return took


def says(line: Line) -> bool:
    """Whether a line of the CLI brings words of the answer."""
    return isinstance(line, StreamEvent) and line.event.type == "content_block_delta" and bool(line.event.delta.text)
