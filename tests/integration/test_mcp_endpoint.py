"""What comes to /mcp and is no message is refused in the protocol's envelope, with a code and the field; packed ones are read."""

import gzip
import json
import zlib
from typing import Any

import pytest

from api.http.request_body import MAX_BODY_BYTES
from tests.support.stack import Stack

type Json = dict[str, Any]

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
LARGE = b" " * (MAX_BODY_BYTES + 1)
HELLO: Json = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def called(**params: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


async def refused(stack: Stack, body: bytes, **headers: str) -> tuple[int, Json]:
    """The status and the error of a request."""
    given = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = await stack.client.post("/mcp", content=body, headers=given)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-should-retry"] == "false"
    answer = response.json()
    assert answer["jsonrpc"] == "2.0"
    return response.status_code, {"id": answer["id"], **answer["error"], **answer["error"]["data"]}


@pytest.mark.wire(20, 40)
@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (LARGE, {}, 413, "request_too_large"),
        (gzip.compress(LARGE), {"content_encoding": "gzip"}, 413, "request_too_large"),
        (b"{}", {"content_type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"content_encoding": "br"}, 415, "unsupported_encoding"),
        (b"{}", {"content_encoding": "gzip"}, 400, "invalid_encoding"),
        (b"{", {}, 400, "invalid_json"),
        (b"", {}, 400, "invalid_json"),
        (json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode(), {}, 400, "no_session"),
    ],
    ids=["large", "large once unpacked", "text", "br", "not packed", "cut", "empty", "no session"],
)
async def test_what_can_not_be_read_is_refused_by_code(
    stack: Stack, body: bytes, headers: dict[str, str], status: int, code: str
):
    """As at every other address."""
    got, error = await refused(stack, body, **headers)
    assert (got, error["code"], error["id"]) == (status, code, None)


@pytest.mark.parametrize(
    ("message", "param", "number"),
    [
        ({"x": 1}, "jsonrpc", None),
        ([], None, None),
        ([HELLO], None, None),
        ({"jsonrpc": "1.0", "id": 7, "method": "ping"}, "jsonrpc", 7),
        ({"jsonrpc": "2.0", "id": 7}, "method", 7),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, "id", None),
        ({"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []}, "params", 7),
        (called(name="chat", arguments=[]), "params.arguments", 7),
        (called(arguments={}), "params.name", 7),
        ({"jsonrpc": "2.0", "id": "a", "method": "prompts/get", "params": {"name": 1}}, "params.name", "a"),
    ],
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
async def test_what_is_no_message_is_refused_by_its_field(
    stack: Stack, message: Any, param: str | None, number: object, version: str
):
    """In a sentence, with the message's id where it has one."""
    status, error = await refused(stack, json.dumps(message).encode(), mcp_protocol_version=version)
    assert (status, error["code"], error.get("param"), error["id"]) == (400, "invalid_value", param, number)
    assert len(error["message"]) < 120


async def test_other_methods_are_told_which_there_are(stack: Stack):
    """405, with the list."""
    response = await stack.client.put("/mcp", headers=HEADERS)
    assert (response.status_code, response.headers["allow"]) == (405, "DELETE, GET, POST")
    assert response.json()["error"]["data"]["code"] == "method_not_allowed"


@pytest.mark.wire(20)
@pytest.mark.parametrize("packed", [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", ""])
async def test_a_packed_message_is_read(stack: Stack, packed: tuple[str, Any], content_type: str):
    """And one of which nobody says what it is."""
    encoding, pack = packed
    headers = {**HEADERS, "content-encoding": encoding, "content-type": content_type}
    request = stack.client.build_request("POST", "/mcp", content=pack(json.dumps(HELLO).encode()), headers=headers)
    response = await stack.client.send(request)
    assert response.status_code == 200
    assert "mcp-session-id" in response.headers
    assert "serverInfo" in response.text


async def test_head_of_a_session_does_not_wait_for_the_stream(stack: Stack):
    """GET would listen for as long as the session lives."""
    response = await stack.client.post("/mcp", json=HELLO, headers={"accept": "application/json"})
    assert response.json()["result"]["serverInfo"]
    session = {"mcp-session-id": response.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    for _ in range(2):
        response = await stack.client.head("/mcp", headers={**session, "accept": "text/event-stream"}, timeout=10)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"].startswith("text/event-stream")
    called = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    for accept in ("application/json", "text/event-stream"):
        response = await stack.client.post("/mcp", json=called, headers={**session, "accept": accept})
        assert response.headers["content-type"].startswith(accept)
        assert '"name":"chat"' in response.text
