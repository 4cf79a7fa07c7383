"""Which types a client of /mcp accepts, and that it gets one of them."""

import json
from typing import Any, cast

import pytest

from api.core.problems import Problem
from api.dialects.mcp.accept import JSON, STREAM, parse_accept
from tests.unit.api.dialects.mcp.test_sessions import HELLO, PING, Answer, Listener, ask, run_endpoint

BOTH = {JSON, STREAM}
NEITHER: set[str] = set()
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/initialized"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
DISCOVER: dict[str, Any] = {"jsonrpc": "2.0", "id": 3, "method": "server/discover", "params": {"_meta": META}}
MODERN = {"mcp_protocol_version": "2026-07-28", "mcp_method": "server/discover"}


@pytest.mark.parametrize(
    ("accept", "kinds"),
    [
        ("", BOTH),
        (" , ", BOTH),
        ("*/*", BOTH),
        ("application/json, text/event-stream", BOTH),
        ("text/html, */*;q=0.1", BOTH),
        ("application/json", {JSON}),
        ("Application/JSON; charset=utf-8", {JSON}),
        ("application/*", {JSON}),
        ("text/event-stream", {STREAM}),
        ("text/*;q=0.5, image/png", {STREAM}),
        ("*/*, text/event-stream;q=0", {JSON}),
        ("application/json;q=0, */*", {STREAM}),
        ("application/json;q=0.0", NEITHER),
        ("text/html", NEITHER),
        ("application/json;q=odd", {JSON}),
        ("json", NEITHER),
    ],
)
def test_what_is_accepted_is_what_the_most_specific_range_says(accept: str, kinds: set[str]):
    """As RFC 9110 §12.5.1 has it."""
    assert parse_accept(accept) == kinds


def message_of(answer: Answer) -> Any:
    """The one message of an answer, and nothing but it."""
    if answer.headers["content-type"].startswith(JSON):
        assert answer.headers["content-length"] == str(len(answer.body))
        return json.loads(answer.body)
    [data] = [line[6:] for line in answer.body.decode().splitlines() if line.startswith("data: ")]
    assert "content-length" not in answer.headers
    return json.loads(data)


@pytest.mark.parametrize(
    ("accept", "kinds"),
    [
        ("application/json", {JSON}),
        ("text/event-stream", {STREAM}),
        ("application/json, text/event-stream", BOTH),
        ("*/*", BOTH),
        ("", BOTH),
    ],
)
async def test_an_answer_is_of_a_type_that_is_accepted(accept: str, kinds: set[str]):
    """In either era of the protocol, whatever the library would send; a session goes on whichever it was begun with."""
    async with run_endpoint() as opened:
        hello = await ask(opened, "POST", HELLO, accept=accept, client=Listener())
        session = hello.session
        pong = await ask(opened, "POST", PING, accept=accept, client=Listener(), **session)
        found = await ask(opened, "POST", DISCOVER, accept=accept, client=Listener(), **MODERN)
        assert "serverInfo" in message_of(hello)["result"]
        assert message_of(pong) == {"jsonrpc": "2.0", "id": 2, "result": {}}
        assert message_of(found)["id"] == 3
        for answer in (hello, pong, found):
            assert answer.status == 200
            assert {answer.headers["content-type"].partition(";")[0]} <= kinds
        noted = await ask(opened, "POST", NOTIFICATION, accept=accept, **session)
        assert (noted.status, noted.body) == (202, b"")


async def test_an_error_of_the_protocols_is_an_answer_of_that_type_too():
    """With the message's id."""
    wrong = {"jsonrpc": "2.0", "id": 9, "method": "no/such"}
    async with run_endpoint() as opened:
        session = (await ask(opened, "POST", HELLO)).session
        for accept in (JSON, STREAM):
            answer = await ask(opened, "POST", wrong, accept=accept, client=Listener(), **session)
            assert answer.headers["content-type"].startswith(accept)
            assert (message_of(answer)["id"], message_of(answer)["error"]["code"]) == (9, -32601)


async def test_only_what_can_have_no_accepted_type_is_refused_and_told_what_to_send():
    """What has no answer is not."""
    async with run_endpoint() as opened:
        session = (await ask(opened, "POST", HELLO)).session
        for method, message, accept, wanted in (
            ("POST", PING, "text/html", JSON),
            ("GET", None, JSON, f"Send Accept: {STREAM}."),
        ):
            with pytest.raises(Problem) as caught:
                await ask(opened, method, message, accept=accept, **session)
            assert (caught.value.status, caught.value.code) == (406, "not_acceptable")
            assert wanted in caught.value.message
        assert (await ask(opened, "POST", NOTIFICATION, accept="text/html", **session)).status == 202
        for accept in ("", "*/*", STREAM, "text/*"):
            client = Listener()
            client.gone.set()
            heard = await ask(opened, "GET", accept=accept, client=cast("Any", client), **session)
            assert (heard.status, heard.headers["content-type"].partition(";")[0]) == (200, STREAM)
        assert (await ask(opened, "DELETE", accept="text/html", **session)).status == 200


async def test_a_client_that_goes_before_its_answer_gets_none():
    """It is no fault of the server's, and counted as none."""
    async with run_endpoint() as opened:
        session = (await ask(opened, "POST", HELLO)).session
        answer = await ask(opened, "POST", PING, accept=JSON, **session)
        assert (answer.status, answer.body) == (0, b"")
