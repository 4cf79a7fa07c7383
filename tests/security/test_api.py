"""The attack list, of keys and of who has none, against the API: nobody takes what belongs to others, or stops them.

Invariants: a bystander is answered within a quarter of a second, whatever else is sent; a key can use up its own share only.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from api.core.keys import Allowance
from tests.support.http_raw import CHAT_PATH, RawConnection, build_head, open_connection, open_connections
from tests.support.latency_probe import measure_latency
from tests.support.scripted.upstream import GatedReply, Upstream
from tests.support.stack import API_KEY, Stack, wait_until
from tests.support.timeouts import MAX_STALL, TEST_TIMEOUT

MIB = 1024 * 1024
READ_BODY_TIMEOUT = 2.0
SETTINGS = {"MAX_INFLIGHT_BODY_BYTES": str(64 * MIB), "READ_BODY_TIMEOUT": str(READ_BODY_TIMEOUT)}
COUNTS = ("/v1/messages/count_tokens", "/v1/responses/input_tokens")
WORK = (CHAT_PATH, "/v1/messages", "/v1/responses", *COUNTS, "/v1/completions")
NOWHERE = "http://pictures.invalid/{}.png"

type Headers = dict[str, str]


@pytest.fixture(scope="module")
async def bare() -> AsyncGenerator[Stack]:
    """An API without executors: who gets as far as a job is told that there are none."""
    async with Stack(None, executors=0, api_settings=SETTINGS) as stack:
        yield stack


async def key(stack: Stack, name: str, **fields: Any) -> Headers:
    """A new key, as the headers that send it."""
    response = await stack.client.post("/api/admin/keys", json={"name": name, "scopes": ["chat", "mcp"], **fields})
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


def small(stack: Stack, path: str, **fields: Any) -> dict[str, Any]:
    """A request that says one word, in the form that an address takes."""
    if "responses" in path:
        return {"input": "hi", **fields}
    if path == "/v1/completions":
        return {"prompt": "hi", **fields}
    return {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}


def code_of(body: Any) -> str:
    """The code or type of an error."""
    error = body.get("error", body)
    return error.get("code") or error.get("type")


async def upload(connection: RawConnection, stack: Stack, headers: Headers, sent: int, announced: int) -> None:
    """Begin a body, and send so much of it."""
    lines = ("Content-Type: application/json", f"Content-Length: {announced}")
    first = build_head(stack, f"Authorization: {headers['authorization']}", *lines, key=False)
    with contextlib.suppress(ConnectionError):
        await connection.send(first, b" " * sent)


@pytest.mark.attack("Memory for bodies")
async def test_bodies_that_stop_leave_room_for_others_and_end_soon(bare: Stack):
    """Of one key, together larger than all that there is: another's large one fits, and its own small ones do."""
    greedy, other = await key(bare, "greedy"), await key(bare, "other")
    async with open_connections(bare, 9) as connections:
        await asyncio.gather(*(upload(each, bare, greedy, 8 * MIB, 8 * MIB + 1) for each in connections))
        large = await bare.client.post(CHAT_PATH, content=b" " * 8 * MIB, headers=other)
        assert (large.status_code, code_of(large.json())) == (400, "invalid_json")
        own = await bare.client.post(CHAT_PATH, json=small(bare, CHAT_PATH), headers=greedy)
        assert (own.status_code, code_of(own.json())) == (503, "no_executor")
        async with asyncio.timeout(READ_BODY_TIMEOUT * 10):
            answers = [answer for each in connections if (answer := await each.read_response())]
        assert {answer.status for answer in answers} <= {408, 503}
        assert any(answer.status == 408 for answer in answers)


@pytest.mark.attack("Memory for bodies")
@pytest.mark.control
async def test_a_body_that_goes_on_coming_is_taken(bare: Stack):
    """However long it takes, within its own limit."""
    async with open_connection(bare) as connection:
        lines = ("Content-Type: application/json", f"Content-Length: {12 * 16384}")
        await connection.send(build_head(bare, *lines))
        for _ in range(12):
            await connection.send(b" " * 16384)
            await asyncio.sleep(READ_BODY_TIMEOUT / 4)
        answer = await connection.read_response()
    assert answer
    assert (answer.status, answer.code) == (400, "invalid_json")


@pytest.mark.attack("Limits of keys")
@pytest.mark.parametrize("path", WORK)
@pytest.mark.parametrize(
    "limit",
    [{"requests_per_minute": 1}, {"usd_per_day": 0}, {"tokens_per_day": 0}],
    ids=["minute", "dollars", "tokens"],
)
async def test_a_key_over_its_limit_causes_no_work(bare: Stack, path: str, limit: dict[str, int]):
    """Not even the counting of tokens, the reading of a body or the fetching of a picture."""
    name = f"{path.strip('/').replace('/', '.')}.{next(iter(limit))}"
    headers = await key(bare, name, **limit)
    if "requests_per_minute" in limit:
        assert (await bare.client.post(path, json=small(bare, path), headers=headers)).status_code != 429
    # The body never comes: nobody waits for it.
    async with open_connection(bare) as connection:
        lines = (f"Authorization: {headers['authorization']}", "Content-Type: application/json", "Content-Length: 9000")
        await connection.send(build_head(bare, *lines, path=path, key=False))
        answer = await connection.read_response()
    assert answer
    assert answer.status == 429
    assert "retry-after" in answer.headers


@pytest.mark.attack("Pictures by address")
@pytest.mark.parametrize("count", [101, 100_000])
async def test_many_addresses_are_refused_before_any_is_fetched(bare: Stack, count: int):
    """By the place of the first that is too many."""
    parts = [{"type": "image_url", "image_url": {"url": NOWHERE.format(number)}} for number in range(count)]
    payload = json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()
    async with measure_latency(bare) as waits:
        response = await bare.client.post(CHAT_PATH, content=payload)
    assert response.status_code in {400, 413}, response.text
    if count == 101:
        assert "up to 100" in response.json()["error"]["message"]
    assert waits.longest <= MAX_STALL


MESSAGE = b'{"role":"user","content":"a"}'
# The text of a body, its placeholder, and what is repeated there how often: built when it is sent.
MESSAGES, TEXT = b'{"max_tokens":9,"model":"sonnet","messages":[%b]}', b'{"messages":[{"role":"user","content":"%b"}]}'
SHAPES: dict[str, tuple[bytes, bytes, bytes, int]] = {
    "small messages": (MESSAGES, b",", MESSAGE, 900_000),
    "as many as are taken": (MESSAGES, b",", MESSAGE, 20_000),
    "empty lists": (b'{"messages":[%b]}', b",", b"[]", 9_000_000),
    "one text": (TEXT, b"", b"word ", 5_800_000),
    "quotes": (TEXT, b"", b'\\"', 14_000_000),
}


@pytest.mark.attack("The event loop")
@pytest.mark.parametrize("path", [*COUNTS, CHAT_PATH])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_large_request_keeps_nobody_waiting(bare: Stack, path: str, shape: str):
    """29 MB of whatever costs most to read."""
    body, separator, piece, count = SHAPES[shape]
    payload = (body.replace(b'"messages"', b'"input"') if "responses" in path else body) % separator.join(
        [piece] * count
    )
    async with measure_latency(bare) as waits:
        response = await bare.client.post(path, content=payload, headers={"content-type": "application/json"})
    assert response.status_code in {200, 400, 413, 503}, response.text
    assert waits.longest <= MAX_STALL


CHANGES: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "disabled": ("PATCH", "", {"disabled": True}),
    "removed": ("DELETE", "", None),
    "rotated": ("POST", "/rotate", None),
    "narrowed": ("PATCH", "", {"scopes": ["files"]}),
    "other models": ("PATCH", "", {"models": ["opus"]}),
}


@pytest.mark.attack("Keys that ended")
@pytest.mark.parametrize("change", CHANGES)
async def test_a_key_that_ended_has_no_running_jobs(stack: Stack, upstream: Upstream, change: str):
    """A stream ends with an error that says why, and so does what is answered in the background."""
    upstream.script(GatedReply(("one", "two")))
    name = f"ended-{change.replace(' ', '-')}"
    headers = await key(stack, name)
    request = {"input": "hi", "background": True, "model": "sonnet"}
    background = (await stack.client.post("/v1/responses", json=request, headers=headers)).json()
    async with stack.client.stream(
        "POST", CHAT_PATH, json=small(stack, CHAT_PATH, model="sonnet", stream=True), headers=headers
    ) as stream:
        await upstream.wait_until(lambda: len(upstream.held) == 2)
        method, more, fields = CHANGES[change]
        response = await stack.client.request(method, f"/api/admin/keys/{name}{more}", json=fields)
        assert response.status_code in {200, 204}, response.text
        async with asyncio.timeout(TEST_TIMEOUT):
            received = b"".join([chunk async for chunk in stream.aiter_bytes()])
    assert b"key_revoked" in received, received
    await upstream.wait_until(lambda: upstream.hangups == 2)
    if change == "rotated":
        now = {"authorization": f"Bearer {response.json()['key']}"}
        stored = (await stack.client.get(f"/v1/responses/{background['id']}", headers=now)).json()
        assert (stored["status"], stored["error"]["code"]) == ("failed", "key_revoked")


@pytest.mark.attack("Keys that ended")
async def test_a_key_that_ended_has_no_session(stack: Stack):
    """What listens at /mcp is ended, and whoever has the key now can't go on with the session."""
    headers = {**await key(stack, "session"), "accept": "application/json, text/event-stream"}
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    initialized = await stack.client.post("/mcp", json=hello, headers=headers)
    session = {"mcp-session-id": initialized.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    async with stack.client.stream("GET", "/mcp", headers={**headers, **session}) as stream:
        assert stream.status_code == 200
        rotated = await stack.client.post("/api/admin/keys/session/rotate")
        async with asyncio.timeout(TEST_TIMEOUT):
            _ = [chunk async for chunk in stream.aiter_bytes()]
    now = {**headers, **session, "authorization": f"Bearer {rotated.json()['key']}"}
    listed = await stack.client.post("/mcp", json={"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, headers=now)
    assert listed.status_code == 404


@pytest.mark.attack("Keys that ended")
@pytest.mark.control
async def test_a_key_that_is_changed_otherwise_keeps_its_jobs(stack: Stack, upstream: Upstream):
    """Another limit ends nothing that runs."""
    upstream.script(GatedReply(("one", "two")))
    headers = await key(stack, "changed")
    pending = asyncio.create_task(
        stack.client.post(CHAT_PATH, json=small(stack, CHAT_PATH, model="sonnet"), headers=headers)
    )
    await upstream.wait_until(lambda: len(upstream.held) == 1)
    changed = await stack.client.patch("/api/admin/keys/changed", json={"requests_per_minute": 5, "models": ["sonnet"]})
    assert changed.status_code == 200
    await asyncio.sleep(1)
    await upstream.release_all()
    assert (await pending).status_code == 200


HUGE = ("1" + "0" * 400, "-1" + "0" * 400, "1e400", "1" + "0" * 5000)
NUMBERS = {
    CHAT_PATH: (
        "max_tokens",
        "n",
        "temperature",
        "top_p",
        "max_budget_usd",
        "seed",
        "top_logprobs",
        "max_completion_tokens",
    ),
    "/v1/messages": ("max_tokens", "temperature", "top_k", "top_p"),
    "/v1/messages/count_tokens": ("max_tokens", "temperature"),
    "/v1/responses": ("max_output_tokens", "max_tool_calls", "temperature", "top_p", "top_logprobs", "max_budget_usd"),
    "/v1/completions": ("max_tokens", "n", "best_of", "logprobs", "max_budget_usd"),
    "/api/admin/keys": tuple(Allowance.__struct_fields__),
}


@pytest.mark.attack("Numbers beyond measure")
@pytest.mark.parametrize("path", NUMBERS)
async def test_a_number_beyond_measure_is_no_fault_of_ours(bare: Stack, path: str):
    """In each field that takes one it is refused, or means nothing."""
    for field in NUMBERS[path]:
        for value in HUGE:
            fields = small(bare, path) if path.startswith("/v1") else {"name": "huge", "scopes": ["chat"]}
            fields.pop(field, None)
            payload = f'{json.dumps(fields)[:-1]}, "{field}": {value}}}'.encode()
            response = await bare.client.post(path, content=payload)
            assert response.status_code in {200, 400, 503}, (field, value, response.text)
            assert response.headers["cache-control"] == "no-store"


@pytest.mark.attack("Wrong keys")
async def test_wrong_keys_are_slowed_and_logged_with_their_address():
    """The right one from the same address still opens; no part of a key is in the log."""
    async with Stack(None, executors=0) as stack:
        wrong = {"authorization": "Bearer wrong-key-0123456789"}
        statuses = [(await stack.client.get("/v1/models", headers=wrong)) for _ in range(130)]
        assert {each.status_code for each in statuses[:100]} == {401}
        assert statuses[-1].status_code == 429
        assert "retry-after" in statuses[-1].headers
        assert (await stack.client.get("/v1/models")).status_code == 200
        assert (await stack.client.get("/v1/models", headers={"authorization": ""})).status_code == 401
        await wait_until(lambda: "many wrong keys" in stack.api.log.read_text())
        logged = stack.api.log.read_text()
        assert "address=127.0.0.1" in logged
        assert "wrong-key-0123456789" not in logged
        assert API_KEY not in logged
        assert logged.count("a wrong key") < 10
