"""Hostile clients of the real API: each is bounded, and gets the right error or a closed connection.

Invariants: whatever they do, other clients are answered, and the API uses hardly more memory afterwards.
"""

import asyncio
import contextlib
import json
import resource
import socket
import zlib
from collections.abc import AsyncGenerator

import httpx2
import psutil
import pytest

from tests.support.chat import parse_text, send_chat
from tests.support.http_raw import (
    CHAT_PATH,
    RawConnection,
    RawResponse,
    build_chat_request,
    build_head,
    open_connection,
    open_connections,
)
from tests.support.scripted.upstream import AnswerReply, GatedReply, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

# Short, but no shorter than a busy machine may take for a head that is sent at once.
SHORT_TIMEOUTS = {"READ_HEADER_TIMEOUT": "4", "READ_BODY_TIMEOUT": "4", "WRITE_TIMEOUT": "4"}
# The endpoints that take a body.
POST_PATHS = (
    CHAT_PATH,
    "/v1/completions",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/api/chat",
    "/api/code",
    "/api/analyze",
    "/api/tools/bash",
    "/api/tools/file-read",
    "/mcp",
)
MIB = 1024 * 1024
ACCEPT = "application/json, text/event-stream"
JSON = ("Content-Type: application/json", f"Accept: {ACCEPT}")
# What allocators keep, beside what a test's own requests need.
SLACK = 48 * MIB
IDLE = 10_000


@pytest.fixture(scope="module")
async def short_timeout_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with short timeouts."""
    async with Stack(shared_upstream.url, api_settings=SHORT_TIMEOUTS) as stack:
        yield stack


def memory(stack: Stack) -> int:
    return psutil.Process(stack.api.pid).memory_info().rss


@contextlib.asynccontextmanager
async def meanwhile(stack: Stack) -> AsyncGenerator[None]:
    """Another client's requests are answered all the time; the API uses hardly more memory afterwards."""
    assert parse_text(await send_chat(stack)) == "Hello world!"
    before, over = memory(stack), asyncio.Event()

    async def send_requests() -> None:
        async with httpx2.AsyncClient(base_url=stack.url, headers=stack.headers, timeout=TEST_TIMEOUT) as client:
            while not over.is_set():
                response = await client.get("/v1/models")
                assert response.status_code == 200, response.text
                await asyncio.sleep(0.05)

    other_client = asyncio.create_task(send_requests())
    try:
        yield
    finally:
        over.set()
    await other_client
    assert parse_text(await send_chat(stack)) == "Hello world!"
    await wait_until(lambda: memory(stack) - before < SLACK)


async def drip(connection: RawConnection, data: bytes) -> None:
    """Send a byte at a time, for ever or until the other side has had enough."""
    with contextlib.suppress(ConnectionError):
        for byte in data * 1000:
            await connection.send(bytes([byte]))
            await asyncio.sleep(0.05)


# --- slowly


async def test_a_head_that_comes_byte_by_byte_ends_with_408(short_timeout_stack: Stack, upstream: Upstream):
    """However steadily it comes."""
    start = build_head(short_timeout_stack)[:-2] + b"X-More: 1\r\n"
    async with meanwhile(short_timeout_stack), contextlib.AsyncExitStack() as opened:
        connections: list[RawConnection] = []
        for _ in range(50):
            connections.append(await opened.enter_async_context(open_connection(short_timeout_stack)))
            await connections[-1].send(start[:1])
        dripping = [asyncio.create_task(drip(each, start[1:])) for each in connections]
        for connection in connections:
            answer = await connection.read_response()
            assert answer
            assert (answer.status, answer.code) == (408, "request_too_slow")
            assert answer.headers["connection"] == "close"
            assert await connection.read_response() is None
            connection.close()
        await asyncio.gather(*dripping)


async def test_a_body_that_comes_byte_by_byte_ends_with_408(short_timeout_stack: Stack, upstream: Upstream):
    """In the dialect's own envelope, at every endpoint."""
    async with meanwhile(short_timeout_stack), contextlib.AsyncExitStack() as opened:
        connections: list[RawConnection] = []
        dripping: list[asyncio.Task[None]] = []
        for path in POST_PATHS:
            connections.append(connection := await opened.enter_async_context(open_connection(short_timeout_stack)))
            await connection.send(
                build_head(short_timeout_stack, *JSON, "Content-Length: 100000", path=path), b'{"x": "'
            )
            dripping.append(asyncio.create_task(drip(connection, b" ")))
        for connection, path in zip(connections, POST_PATHS, strict=True):
            answer = await connection.read_response()
            assert answer
            assert answer.status == 408, (path, answer)
            assert b"did not come in time" in answer.body
        # All are read by now: what a client has not read when its connection is closed may be lost.
        for connection in connections:
            # What comes of the body after that is not waited for.
            assert await connection.read_response() is None
            connection.close()
        await asyncio.gather(*dripping)


async def test_a_connection_that_says_nothing_is_closed_without_a_word(short_timeout_stack: Stack):
    """Browsers open some in advance: an error there would be read as the answer to a later request."""
    async with open_connections(short_timeout_stack, 2) as [silent, empty]:
        await empty.send(b"\r\n" * 3)
        assert await silent.read_response() is None
        answer = await empty.read_response()
        assert answer
        assert answer.status == 408


async def test_an_answer_that_nobody_reads_is_given_up(short_timeout_stack: Stack, upstream: Upstream):
    """Its job ends, and its place is free."""
    upstream.script(StalledReply(["x" * 100_000] * 200))
    payload = json.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
    async with open_connections(short_timeout_stack, 3) as connections:
        for connection in connections:
            connection.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue] # a socket's
            await connection.send(build_head(short_timeout_stack, *JSON, f"Content-Length: {len(payload)}") + payload)
        await upstream.wait_until(lambda: upstream.hangups == 3)
        await short_timeout_stack.wait_until_quiet()


# --- too much


@pytest.mark.parametrize("piece", [b"X-7: 1\r\n", b"X-Long: " + b"a" * 1000, b"\r\n"])
async def test_a_head_without_end_is_refused(stack: Stack, upstream: Upstream, piece: bytes):
    """Many headers, a long one, nothing but empty lines."""
    async with meanwhile(stack), open_connection(stack) as connection:
        await connection.send(b"" if piece == b"\r\n" else build_head(stack)[:-2])

        async def pour() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await connection.send(piece * 100)
                    await asyncio.sleep(0)

        pouring = asyncio.create_task(pour())
        answer = await connection.read_response()
        assert answer
        assert (answer.status, answer.code) == (431, "head_too_large")
        connection.close()
        await pouring


async def test_an_address_without_end_is_refused(stack: Stack):
    """As a head is."""
    async with open_connection(stack) as connection:
        await connection.send(b"GET /" + b"a" * 100_000)
        answer = await connection.read_response()
    assert answer
    assert (answer.status, answer.code) == (431, "head_too_large")


async def test_too_many_headers_are_refused_and_many_are_not(stack: Stack):
    """Some proxies add dozens."""
    for count, status in ((150, 200), (201, 431)):
        async with open_connection(stack) as connection:
            lines = (f"X-{number}: 1" for number in range(count))
            await connection.send(build_head(stack, *lines, method="GET", path="/v1/models"))
            answer = await connection.read_response()
        assert answer
        assert answer.status == status


async def test_a_body_that_is_said_to_be_huge_is_refused_unread(stack: Stack):
    """413 at once, at every endpoint; the connection is closed, since what follows is the body."""
    async with open_connections(stack, len(POST_PATHS)) as connections:
        for connection, path in zip(connections, POST_PATHS, strict=True):
            await connection.send(build_head(stack, *JSON, "Content-Length: 99999999999", path=path))
        for connection, path in zip(connections, POST_PATHS, strict=True):
            [answer] = await connection.read_all()
            assert answer.status == 413, path


async def test_a_body_without_end_is_refused(stack: Stack, upstream: Upstream):
    """Chunked, so that the length is not known in advance; in each protocol and envelope."""
    piece = b"100000\r\n" + b" " * MIB + b"\r\n"

    async def pour(connection: RawConnection) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await connection.send(piece)

    async with meanwhile(stack):
        for path in (CHAT_PATH, "/v1/messages", "/api/chat", "/mcp"):
            async with open_connection(stack) as connection:
                await connection.send(build_head(stack, *JSON, "Transfer-Encoding: chunked", path=path))
                pouring = asyncio.create_task(pour(connection))
                answer = await connection.read_response()
                assert answer
                assert answer.status == 413, path
                await pouring


async def test_a_body_without_a_key_is_not_read(stack: Stack):
    """401 before it comes; what comes of it all the same is thrown away, for a moment."""
    async with open_connection(stack) as connection:
        await connection.send(build_head(stack, "Content-Length: 30000000", key=False))
        [answer] = await connection.read_all()
    assert answer.status == 401


def build_gzip_bomb() -> bytes:
    """A gigabyte of spaces. After a full flush the compressor has no history, so that its output can be repeated."""
    packed = zlib.compressobj(9, wbits=31)
    start = packed.compress(b"") + packed.flush(zlib.Z_FULL_FLUSH)
    piece = packed.compress(b" " * MIB) + packed.flush(zlib.Z_FULL_FLUSH)
    return start + piece * 1024


async def test_gzip_bombs_are_refused(stack: Stack, upstream: Upstream):
    """A gigabyte in a megabyte, at every endpoint at once: memory use stays low, and other clients are answered."""
    bomb = build_gzip_bomb()
    headers = {"content-encoding": "gzip", "content-type": "application/json", "accept": ACCEPT}
    async with meanwhile(stack):
        posts = [stack.client.post(path, content=bomb, headers=headers) for path in POST_PATHS]
        statuses = {
            path: (await response).status_code
            for path, response in zip(POST_PATHS, map(asyncio.ensure_future, posts), strict=True)
        }
        assert statuses.pop("/mcp") in {400, 413, 415}
        assert set(statuses.values()) <= {413, 503}


async def test_bodies_together_are_bounded(shared_upstream: Upstream, upstream: Upstream):
    """Each may be large, all together may not: who comes too late is told when to come again."""

    async def status(stack: Stack) -> int:
        response = await stack.client.post(CHAT_PATH, content=b" " * 30 * MIB)
        if response.status_code == 503:
            assert response.json()["error"]["code"] == "server_overloaded"
            assert response.headers["retry-after"] == "1"
        return response.status_code

    async def is_status(stack: Stack, wanted: int) -> bool:
        return await status(stack) == wanted

    async with Stack(shared_upstream.url, api_settings={"MAX_INFLIGHT_BODY_BYTES": str(40 * MIB)}) as stack:
        async with open_connection(stack) as slow:
            await slow.send(build_head(stack, f"Content-Length: {20 * MIB}"), b" " * 19 * MIB)
            await wait_until(lambda: is_status(stack, 503))
            assert parse_text(await send_chat(stack)) == "Hello world!"
        await wait_until(lambda: is_status(stack, 400))


@pytest.mark.parametrize("bomb", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * 100_000 + b"]" * 100_000])
async def test_json_that_is_too_deep_is_refused(stack: Stack, bomb: bytes):
    """By the decoder of each endpoint, the official MCP library included, or before it for the number of values."""
    for path in POST_PATHS:
        response = await stack.client.post(
            path, content=bomb, headers={"content-type": "application/json", "accept": ACCEPT}
        )
        assert response.status_code in {400, 413}, (path, response.text[:300])
        assert len(response.content) < 5000


@pytest.mark.parametrize(
    "payload", [b"\xff\xfe\x00", b'{"prompt": "\xff"}', b'{"prompt": "\xed\xa0\x80"}', b"\0" * 100]
)
async def test_what_is_no_utf_8_is_refused(stack: Stack, payload: bytes):
    """At every endpoint."""
    for path in POST_PATHS:
        response = await stack.client.post(
            path, content=payload, headers={"content-type": "application/json", "accept": ACCEPT}
        )
        assert response.status_code == 400, (path, response.text[:300])


async def test_a_content_type_is_ignored_or_refused(stack: Stack, upstream: Upstream):
    """Never a fault."""
    for path in POST_PATHS:
        for kind in ("", "text/html", "multipart/form-data; boundary=x", "application/xml", "x" * 1000):
            response = await stack.client.post(path, content=b"{}", headers={"content-type": kind})
            assert response.status_code in {400, 406, 415}, (path, kind, response.text[:300])


# --- what is no HTTP, or is two things at once


def list_statuses(connection: list[RawResponse]) -> list[int]:
    return [each.status for each in connection]


NO_HTTP: dict[str, bytes] = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    "a word": b"hello\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/3.7": b"GET /health HTTP/3.7\r\nHost: a\r\n\r\n",
    "no method": b" /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a space before the colon": b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n",
    "a folded header": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    "a header without a name": b"GET /health HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    "bare CR in a header": b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\rX-C: d\r\n\r\n",
    "a space in the address": b"GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes in the address": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
async def test_what_is_no_http_gets_one_400_and_a_closed_connection(stack: Stack, name: str):
    """In JSON, with a sentence."""
    async with open_connection(stack) as connection:
        await connection.send(NO_HTTP[name])
        [answer] = await connection.read_all()
    assert answer.status == 400
    assert answer.code == "invalid_http"
    assert answer.headers["connection"] == "close"


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
TWO_LENGTHS: dict[str, tuple[tuple[str, ...], bytes]] = {
    "length and chunked": (("Content-Length: 5", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
    "chunked and length": (("Transfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n"),
    "two lengths": (("Content-Length: 0", "Content-Length: 35"), b""),
    "two lengths in one": (("Content-Length: 0, 35",), b""),
    "a length with a sign": (("Content-Length: +0",), b""),
    "a length below nothing": (("Content-Length: -1",), b""),
    "a length beyond integers": (("Content-Length: 99999999999999999999999999",), b""),
    "a length in hexadecimal": (("Content-Length: 0x0",), b""),
    "chunked is not the last": (("Transfer-Encoding: chunked, identity",), b"0\r\n\r\n"),
    "a coding nobody knows": (("Transfer-Encoding: xchunked",), b"0\r\n\r\n"),
    "gzip below chunked": (("Transfer-Encoding: gzip, chunked",), b"0\r\n\r\n"),
    "chunked twice": (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
    "a vertical tab": (("Transfer-Encoding: \x0bchunked",), b"0\r\n\r\n"),
    "a chunk's size that is none": (("Transfer-Encoding: chunked",), b"xyz\r\n"),
    "a chunk's size below nothing": (("Transfer-Encoding: chunked",), b"-1\r\n"),
    "a chunk's size beyond integers": (("Transfer-Encoding: chunked",), b"fffffffffffffffff1\r\n"),
    "a chunk that is longer than it says": (("Transfer-Encoding: chunked",), b"1\r\nabc\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", TWO_LENGTHS)
async def test_a_request_hidden_in_another_is_never_answered(stack: Stack, upstream: Upstream, name: str):
    """Where two readers could see two ends of a request, it has none: one error, and the connection is closed."""
    lines, payload = TWO_LENGTHS[name]
    async with open_connection(stack) as connection:
        with contextlib.suppress(ConnectionError):
            await connection.send(build_head(stack, *lines) + payload + SMUGGLED)
        answers = await connection.read_all()
    assert list_statuses(answers) in ([400], []), answers
    assert not upstream.requests


async def test_a_chunk_may_have_extensions_and_a_body_trailers(stack: Stack, upstream: Upstream):
    """Both are dropped; nothing of a trailer is taken for a header."""
    payload = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    trailers = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(1000))
    async with open_connection(stack) as connection:
        await connection.send(
            build_head(stack, *JSON, "Transfer-Encoding: chunked")
            + b"%x;name=%b\r\n" % (len(payload), b"a" * 1000)
            + payload
            + b"\r\n0\r\nAuthorization: Bearer wrong\r\n"
            + trailers
            + b"\r\n"
        )
        answer = await connection.read_response()
        assert answer
        assert answer.status == 200


# --- one after another


async def test_requests_that_are_sent_at_once_are_answered_in_order(stack: Stack, upstream: Upstream):
    """Pipelining (RFC 9112 §9.3.2)."""
    upstream.script(lambda received: AnswerReply(received.conversation[-1]["content"][-1]["text"]))
    async with open_connection(stack) as connection:
        await connection.send(b"".join(build_chat_request(stack, words=f"number {number}") for number in range(5)))
        for number in range(5):
            answer = await connection.read_response()
            assert answer
            assert json.loads(answer.body)["choices"][0]["message"]["content"] == f"number {number}"


async def test_thousands_of_requests_sent_at_once_are_bounded(stack: Stack, upstream: Upstream):
    """They are not read before those in front of them are answered."""
    async with meanwhile(stack), open_connection(stack) as connection:

        async def pour() -> None:
            with contextlib.suppress(ConnectionError):
                await connection.send(*([build_head(stack, method="GET", path="/health/live") * 100] * 100))

        pouring = asyncio.create_task(pour())
        for _ in range(200):
            answer = await connection.read_response()
            assert answer
            assert answer.status == 200
        connection.close()
        await pouring


async def test_garbage_after_a_request_does_not_spoil_its_answer(stack: Stack, upstream: Upstream):
    """It is answered whole, and then the connection is closed."""
    async with open_connection(stack) as connection:
        await connection.send(build_chat_request(stack) + b"\0\0\0 no HTTP\r\n\r\n")
        first, *others = await connection.read_all()
    assert json.loads(first.body)["choices"][0]["message"]["content"] == "Hello world!"
    assert list_statuses(others) == [400]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0"])
async def test_another_protocol_is_not_spoken_and_the_request_answered(stack: Stack, upstream: Upstream, protocol: str):
    """Java's client offers HTTP/2 with its first request (RFC 9110 §7.8)."""
    async with open_connection(stack) as connection:
        for _ in range(2):
            await connection.send(
                build_chat_request(stack, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}")
            )
            answer = await connection.read_response()
            assert answer
            assert answer.status == 200, answer


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
async def test_an_offer_of_another_protocol_may_come_in_any_segment(short_timeout_stack: Stack, protocol: str):
    """In a later one than the head's first, or in the second of two requests; a body like a head stays a body."""
    words = "GET /hidden HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"
    path = "/v1/messages/count_tokens"
    plain = build_chat_request(short_timeout_stack, words=words, path=path)
    offering = build_chat_request(
        short_timeout_stack, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", words=words, path=path
    )
    offer, end = offering.index(b"Upgrade: "), offering.index(b"\r\n\r\n")
    counted: set[bytes] = set()
    for before in (b"", plain):
        for place in (offer, offer + 4, end, end + 3, end + 4, end + 30, len(offering)):
            async with open_connection(short_timeout_stack) as connection:
                await connection.send(before + offering[:place])
                await connection.send(offering[place:] + plain)
                for _ in range(3 if before else 2):
                    answer = await connection.read_response()
                    assert answer
                    assert answer.status == 200, (place, answer)
                    counted.add(answer.body)
    assert len(counted) == 1


# --- many


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_ten_thousand_idle_connections_keep_nobody_waiting(shared_upstream: Upstream, upstream: Upstream):
    """As many as this machine's limit of open files lets us have; half of them with half a head."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(IDLE, int(hard * 0.7))
    sockets: list[socket.socket] = []
    try:
        async with Stack(shared_upstream.url, api_settings={"READ_HEADER_TIMEOUT": "600"}) as stack:
            assert parse_text(await send_chat(stack)) == "Hello world!"
            before = memory(stack)
            for number in range(count):
                sockets.append(await asyncio.to_thread(socket.create_connection, ("127.0.0.1", stack.port), 30))
                if number % 2:
                    sockets[-1].send(b"GET /health HTTP/1.1\r\nHost: a\r\nX-")
            await wait_until(lambda: opened(stack, count))
            # What the API keeps for a connection (some 10 KiB), however long it took to come to it.
            each = (memory(stack) - before) / count
            print(f"{count} connections, {each / 1024:.1f} KiB each")
            assert each < 32 * 1024
            assert parse_text(await send_chat(stack)) == "Hello world!"
            # More of them: those that have waited longest make room.
            for _ in range(100):
                async with open_connection(stack) as late:
                    await late.send(build_head(stack, method="GET", path="/health/live"))
                    answer = await late.read_response()
                    assert answer
                    assert answer.status == 200
            for sock in sockets:
                sock.close()
            # They are gone at once, since they are closed.
            await wait_until(lambda: opened(stack, 1))
    finally:
        for sock in sockets:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def opened(stack: Stack, count: int) -> bool:
    """Whether the API has about so many connections."""
    try:
        metrics = (await stack.client.get("/metrics")).text
    except httpx2.RemoteProtocolError:
        # The connection that the client kept open was closed as idle at this very moment.
        return False
    [line] = [line for line in metrics.splitlines() if line.startswith("claude_api_http_connections ")]
    return abs(float(line.split()[1]) - count) <= 10


async def test_who_waits_makes_room_for_who_asks_and_who_is_answered_does_not(
    shared_upstream: Upstream, upstream: Upstream
):
    """Only when everyone is busy is somebody refused, and told so."""
    upstream.script(GatedReply(("x",)))
    async with Stack(shared_upstream.url, api_settings={"MAX_CONNECTIONS": "3"}) as stack:
        await stack.client.aclose()
        async with open_connections(stack, 3) as idle, open_connections(stack, 3) as busy:
            for connection in idle:
                assert await connection.read_response() is None
            for connection in busy:
                await connection.send(build_chat_request(stack))
            await upstream.wait_until(lambda: len(upstream.held) == 3)
            async with open_connection(stack) as late:
                answer = await late.read_response()
                assert answer
                assert (answer.status, answer.code) == (503, "too_many_connections")
                assert await late.read_response() is None
            await upstream.release()
            for connection in busy:
                answer = await connection.read_response()
                assert answer
                assert answer.status == 200
            async with open_connection(stack) as late:
                await late.send(build_head(stack, method="GET", path="/health/live"))
                answer = await late.read_response()
                assert answer
                assert answer.status == 200
