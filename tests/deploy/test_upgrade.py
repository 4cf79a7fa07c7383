"""An upgrade under load, as systemd does it: executors are replaced one after another, then the API, whose sockets stay.

Invariants: nobody is refused, nobody's answer is lost or cut; who comes while a program is away waits.
"""

import asyncio
import itertools
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.socket_activation import open_notify_socket, start_activated, wait_for_state
from tests.support.stack import API_KEY, wait_until
from tests.support.timeouts import TEST_TIMEOUT

CLAUDE = ("claude-1", "claude-2")
TOOLS = "tools-1"
API = "api"
WORDS = 12


def echo(received: ReceivedRequest) -> AnswerReply:
    """What was asked, in words that take their time."""
    return AnswerReply([f"{received.conversation[-1]['content'][-1]['text']} "] * WORDS, per_second=20)


class Host:
    """A machine with its sockets. Mutable: the programs that run."""

    def __init__(self, folder: Path, upstream_url: str) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self.run = folder / "run"
        self.run.mkdir(mode=0o755)
        self.files = folder / "files"
        self.files.mkdir()
        self.sockets: dict[str, socket.socket] = {API: socket.create_server(("127.0.0.1", 0), backlog=1024)}
        for name in (*CLAUDE, TOOLS):
            sock = self.sockets[name] = socket.socket(socket.AF_UNIX)
            sock.bind(str(self.run / f"{name}.sock"))
            sock.listen(256)
        self.url = f"http://127.0.0.1:{self.sockets[API].getsockname()[1]}"
        self._upstream_url = upstream_url
        self._running: dict[str, AsyncExitStack] = {}

    async def start(self, name: str) -> None:
        """Start a program, and wait until it serves."""
        (notify := self.folder / f"notify-{name}").mkdir(exist_ok=True)
        (notify / "notify").unlink(missing_ok=True)
        notify_socket, where = open_notify_socket(notify)
        environment = {
            "HOME": str(self.folder),
            "RUN_DIR": str(self.run),
            "NOTIFY_SOCKET": where,
            "DRAIN_TIMEOUT": "600",
            "QUEUE_TIMEOUT": "600",
        }
        match name:
            case "api":
                arguments = ("api",)
                environment["API_SECRET_TOKEN"] = API_KEY
            case "tools-1":
                arguments = ("executor", "--role", "tools", "--name", name)
                environment["ALLOWED_PATHS"] = str(self.files)
                environment["ALLOWED_COMMANDS"] = "echo,sleep"
            case _:
                arguments = ("executor", "--role", "claude", "--name", name)
                environment |= {"ANTHROPIC_API_KEY": "sk-ant-invented", "ANTHROPIC_BASE_URL": self._upstream_url}
        with notify_socket:
            async with AsyncExitStack() as stack:
                log = self.folder / f"{name}.log"
                await stack.enter_async_context(start_activated(self.sockets[name], environment, *arguments, log=log))
                await wait_for_state(notify_socket, "READY=1")
                self._running[name] = stack.pop_all()

    async def stop(self, name: str) -> None:
        """SIGTERM, and wait for the end."""
        await self._running.pop(name).aclose()

    async def end(self) -> None:
        """Stop everything."""
        for name in (API, TOOLS, *CLAUDE):
            if name in self._running:
                await self.stop(name)
        for sock in self.sockets.values():
            sock.close()


@pytest.fixture
async def host(upstream: Upstream) -> AsyncGenerator[Host]:
    """Everything runs."""
    upstream.script(echo)
    folder = Path(tempfile.mkdtemp(prefix="cas-"))
    host = Host(folder, upstream.url)
    try:
        for name in (*CLAUDE, TOOLS, API):
            await host.start(name)
        yield host
    finally:
        await host.end()
        shutil.rmtree(folder, ignore_errors=True)


async def streamed(client: httpx2.AsyncClient, number: int) -> None:
    request = {"messages": [{"role": "user", "content": f"s{number}"}], "stream": True}
    async with client.stream("POST", "/v1/chat/completions", json=request) as response:
        body = (await response.aread()).decode()
    assert response.status_code == 200, body
    assert body.endswith("data: [DONE]\n\n")
    assert body.count(f'"content":"s{number} "') == WORDS, body


async def send_plain_requests(client: httpx2.AsyncClient, number: int) -> None:
    request = {"max_tokens": 100, "messages": [{"role": "user", "content": f"w{number}"}]}
    response = await client.post("/v1/messages", json=request)
    assert response.status_code == 200, response.text
    assert response.json()["content"][-1]["text"] == f"w{number} " * WORDS


async def command(client: httpx2.AsyncClient, number: int) -> None:
    response = await client.post("/api/tools/bash", json={"command": f"sleep 0.2; echo {number}"})
    assert response.status_code == 200, response.text
    assert response.json()["stdout"] == f"{number}\n"


async def listed(client: httpx2.AsyncClient, number: int) -> None:
    """On a connection of its own."""
    async with httpx2.AsyncClient(base_url=client.base_url, headers=client.headers, timeout=TEST_TIMEOUT) as own:
        response = await own.get("/v1/models")
    assert response.status_code == 200, response.text


type Request = Callable[[httpx2.AsyncClient, int], Awaitable[None]]


@asynccontextmanager
async def load(host: Host, *requests: Request) -> AsyncGenerator[dict[str, int]]:
    """One client for each, which asks again and again on a kept connection; how many have been answered."""
    answered = {request.__name__: 0 for request in requests}
    over = asyncio.Event()

    async def ask(request: Request) -> None:
        headers = {"authorization": f"Bearer {API_KEY}"}
        async with httpx2.AsyncClient(base_url=host.url, headers=headers, timeout=TEST_TIMEOUT) as client:
            for number in itertools.count():
                if over.is_set():
                    return
                await request(client, number)
                answered[request.__name__] += 1

    async with asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(ask(request))
        yield answered
        over.set()


@pytest.mark.timeout(900)
async def test_everything_is_replaced_and_nobody_is_refused(host: Host):
    """Executor by executor, then the API; a request or more of each kind is answered between any two of them."""
    async with load(host, streamed, send_plain_requests, command, listed) as answered:

        async def some_more() -> None:
            before = dict(answered)
            await wait_until(lambda: all(answered[name] >= before[name] + 2 for name in answered))

        await some_more()
        for name in (*CLAUDE, TOOLS, API):
            await host.stop(name)
            await host.start(name)
            await some_more()
    print(json.dumps(answered))
