"""MCP's sessions: they end when nobody asks for a while, make room for new ones, and names that lead here are looked at first."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.types import Receive, Scope, Send

from api.agent.services import AgentServices
from api.auth.host_check import HostPolicy
from api.core.keys import OWNER, Key, Principal
from api.core.problems import Problem
from api.core.request_state import PRINCIPAL, REQUEST_ID_KEY
from api.dialects.mcp.routes import McpEndpoint
from api.http.drain import Drain
from api.http.event_stream import KEEPALIVE_COMMENT
from tests.support.stack import wait_until

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


class Listener:
    """A client that stays. Mutable: what it has heard, whether it waits for more, and whether it has gone."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.listens = asyncio.Event()
        self.gone = asyncio.Event()


async def ask(
    run_endpoint: McpEndpoint, method: str, message: Any = None, who: str = OWNER, client: Any = None, **headers: Any
) -> Answer:
    """One request by the holder of a key. client: a Listener; without one the client goes at once. Raises Problem."""
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
        "state": {REQUEST_ID_KEY: "req_1", PRINCIPAL: Principal(Key(who, who, "", ()))},
    }
    sent: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if sent:
            return sent.pop()
        if client:
            client.listens.set()
            await client.gone.wait()
        return {"type": "http.disconnect"}

    answer: Answer = client.answer if client else Answer()
    await run_endpoint.handle(cast("Scope", scope), cast("Receive", receive), cast("Send", answer.send))
    return answer


@asynccontextmanager
async def run_endpoint(**limits: Any) -> AsyncGenerator[McpEndpoint]:
    """The endpoint alone: its handling of sessions needs no other part of the API."""
    opened = McpEndpoint(cast("AgentServices", None), HostPolicy(), Drain(1), "1", **limits)
    async with opened.lifespan(cast("Litestar", None)):
        yield opened


async def test_a_session_that_nobody_asks_ends():
    """And is then as unknown as one that never was: 404, upon which clients start a new one."""
    async with run_endpoint(idle_timeout=0.05) as opened:
        session = (await ask(opened, "POST", HELLO)).session
        await wait_until(lambda: not opened.session_count)
        assert (await ask(opened, "POST", PING, **session)).status == 404
        assert (await ask(opened, "POST", HELLO)).status == 200


async def begun(opened: McpEndpoint, who: str = OWNER) -> dict[str, str]:
    """A new session of a key's."""
    return (await ask(opened, "POST", HELLO, who)).session


async def lives(opened: McpEndpoint, session: dict[str, str], who: str = OWNER) -> bool:
    """Whether there still is one; the check makes it the last one to have been idle."""
    return (await ask(opened, "POST", PING, who, **session)).status == 200


async def test_the_session_that_was_idle_the_longest_makes_room():
    """There are only so many; one that ends by itself makes room as well."""
    async with run_endpoint(max_sessions=4) as opened:
        first, second = await begun(opened, "one"), await begun(opened, "one")
        third, fourth = await begun(opened, "two"), await begun(opened, "three")
        assert await lives(opened, first, "one")
        fifth = await begun(opened, "four")
        assert not await lives(opened, second, "one")
        assert [await lives(opened, each, who) for each, who in ((first, "one"), (third, "two"), (fifth, "four"))]
        assert (await ask(opened, "DELETE", who="three", **fourth)).status == 200
        await begun(opened, "two")
        assert await lives(opened, first, "one")
        assert opened.session_count == 4


async def test_a_key_has_half_of_them_and_makes_room_for_its_own_itself():
    """Whatever it begins, the sessions of others stay."""
    async with run_endpoint(max_sessions=4) as opened:
        others = await begun(opened, "other")
        own = [await begun(opened, "greedy") for _ in range(9)]
        assert await lives(opened, others, "other")
        assert [await lives(opened, each, "greedy") for each in own] == [*[False] * 7, True, True]
        assert opened.session_count == 3


async def test_sessions_in_use_are_not_ended_for_a_new_one():
    """It is turned away with a code, and with when to try again; a moment later there may be room."""
    async with run_endpoint(max_sessions=2) as opened:
        session = await begun(opened)
        client = Listener()
        listening = asyncio.create_task(ask(opened, "GET", client=client, **session))
        try:
            await client.listens.wait()
            with pytest.raises(Problem) as caught:
                await ask(opened, "POST", HELLO)
            assert (caught.value.status, caught.value.code) == (503, "too_many_sessions")
            assert caught.value.build_headers()["retry-after"]
        finally:
            client.gone.set()
            await listening
        assert (await ask(opened, "POST", HELLO)).status == 200


@pytest.mark.parametrize(("method", "message"), [("POST", PING), ("GET", None), ("DELETE", None)])
async def test_only_a_greeting_begins_a_session(method: str, message: Any):
    """Anything else without one takes no place from anybody."""
    async with run_endpoint(max_sessions=2) as opened:
        session = await begun(opened)
        with pytest.raises(Problem) as caught:
            await ask(opened, method, message)
        assert (caught.value.status, caught.value.code) == (400, "no_session")
        assert await lives(opened, session)


async def test_a_session_is_unknown_to_every_other_key():
    """It neither reaches it nor ends it."""
    async with run_endpoint() as opened:
        session = (await ask(opened, "POST", HELLO, who="one")).session
        for method in ("POST", "DELETE"):
            assert (await ask(opened, method, PING if method == "POST" else None, who="other", **session)).status == 404
        assert (await ask(opened, "POST", PING, who="one", **session)).status == 200


async def test_a_silent_stream_says_that_it_is_alive():
    """By comments, after `keep_alive` seconds of silence each, for as long as its client listens."""
    async with run_endpoint(keep_alive=0.01) as opened:
        session = await begun(opened)
        client = Listener()
        listening = asyncio.create_task(ask(opened, "GET", client=client, **session))
        await client.listens.wait()
        await wait_until(lambda: client.answer.body.count(KEEPALIVE_COMMENT) > 2)
        client.gone.set()
        assert (await listening).body.replace(KEEPALIVE_COMMENT, b"") == b""


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    ("name", "value", "status"), [("host", "evil.example", 421), ("origin", "https://evil.example", 403)]
)
async def test_a_name_that_is_led_here_opens_no_session_and_reaches_none(
    method: str, name: str, value: str, status: int
):
    """Though it knew the session."""
    async with run_endpoint() as opened:
        session = (await ask(opened, "POST", HELLO)).session
        for headers in ({}, session):
            with pytest.raises(Problem) as caught:
                await ask(opened, method, HELLO if method == "POST" else None, **{**headers, name: value})
            assert caught.value.status == status
        assert opened.session_count == 1
        assert (await ask(opened, "POST", PING, **session)).status == 200
