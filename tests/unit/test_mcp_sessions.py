"""MCP's sessions: they end when nobody asks for a while, there are only so many, and names that lead here are looked at first."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from api.auth import PRINCIPAL
from api.drain import Drain
from api.keys import OWNER, Key, Principal
from api.mcp.hosts import Hosts
from api.mcp.routes import Mcp
from api.problems import Problem
from api.request_context import STATE_KEY
from api.work.tasks import Workshop
from tests.stack import until

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
ACCEPT = {"accept": "application/json, text/event-stream", "host": "127.0.0.1"}


class Answer:
    """What a request brought. Mutable: filled as it comes."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def send(self, message: Any) -> None:
        """The other end of the server's `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")

    @property
    def session(self) -> dict[str, str]:
        """The headers of its session."""
        return {"mcp-session-id": self.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}


async def ask(door: Mcp, method: str, message: Any = None, who: str = OWNER, **headers: str) -> Answer:
    """One request by the holder of a key. Raises Problem."""
    fields = {
        **ACCEPT,
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    body = json.dumps(message).encode() if message else b""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "state": {STATE_KEY: "req_1", PRINCIPAL: Principal(Key(who, who, "", ()))},
    }
    sent: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return sent.pop() if sent else {"type": "http.disconnect"}

    answer = Answer()
    await door.handle(cast("Scope", scope), cast("Receive", receive), cast("Send", answer.send))
    return answer


@asynccontextmanager
async def door(**limits: Any) -> AsyncGenerator[Mcp]:
    """The door by itself: what it does with sessions needs nothing behind it."""
    opened = Mcp(cast("Workshop", None), Hosts(), Drain(1), "1", **limits)
    async with opened.lifespan(cast("Litestar", None)):
        yield opened


async def test_a_session_that_nobody_asks_ends():
    """And is then as unknown as one that never was: 404, upon which clients begin anew."""
    async with door(idle=0.05) as opened:
        session = (await ask(opened, "POST", HELLO)).session
        await until(lambda: not opened.sessions)
        assert (await ask(opened, "POST", PING, **session)).status == 404
        assert (await ask(opened, "POST", HELLO)).status == 200


async def test_there_are_only_so_many_sessions():
    """One more is turned away, those that are there go on, and one that ends makes room."""
    async with door(most=2) as opened:
        first, second = [(await ask(opened, "POST", HELLO)).session for _ in range(2)]
        assert (await ask(opened, "POST", HELLO)).status == 503
        assert (await ask(opened, "POST", PING, **second)).status == 200
        assert (await ask(opened, "DELETE", **first)).status == 200
        assert (await ask(opened, "POST", HELLO)).status == 200
        assert opened.sessions == 2


async def test_a_session_is_unknown_to_every_other_key():
    """It neither reaches it nor ends it."""
    async with door() as opened:
        session = (await ask(opened, "POST", HELLO, who="one")).session
        for method in ("POST", "DELETE"):
            assert (await ask(opened, method, PING if method == "POST" else None, who="other", **session)).status == 404
        assert (await ask(opened, "POST", PING, who="one", **session)).status == 200


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    ("name", "value", "status"), [("host", "evil.example", 421), ("origin", "https://evil.example", 403)]
)
async def test_a_name_that_is_led_here_opens_no_session_and_reaches_none(
    method: str, name: str, value: str, status: int
):
    """Though it knew the session."""
    async with door() as opened:
        session = (await ask(opened, "POST", HELLO)).session
        for headers in ({}, session):
            with pytest.raises(Problem) as caught:
                await ask(opened, method, HELLO if method == "POST" else None, **{**headers, name: value})
            assert caught.value.status == status
        assert opened.sessions == 1
        assert (await ask(opened, "POST", PING, **session)).status == 200
