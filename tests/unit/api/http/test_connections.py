"""A connection by itself, without a socket: however its bytes are cut into segments, the same comes of them."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import uvicorn
from msgspec import Struct
from uvicorn.server import ServerState

from api.dialects.error_rendering import render_error_for_path
from api.http.connections.connection import Connection
from api.http.connections.early_responses import MAX_HEAD_BYTES
from api.http.connections.registry import ConnectionLimits, ConnectionRegistry

POST = b"POST /%b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMAAABk\r\n"
H2C, WEBSOCKET = OFFER % b"h2c", OFFER % b"websocket"
# A body that looks like a head, and ends like one.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
CONFIG = uvicorn.Config(cast("Any", None), interface="asgi3", log_config=None, proxy_headers=False)
CONFIG.loaded, CONFIG.loaded_app, CONFIG.ws_protocol_class = True, cast("Any", None), None
TURNS = 4


def post(path: bytes = b"x", body: bytes = b"body", lines: bytes = b"") -> bytes:
    """A request whose length is known."""
    return POST % (path, lines, len(body), body)


def chunked(
    path: bytes = b"x", chunks: Sequence[bytes] = (b"bo", b"dy"), lines: bytes = b"", end: bytes = b""
) -> bytes:
    """A request in chunks. end: its trailers."""
    body = b"".join(b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"POST /%b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%b\r\n%b0\r\n%b\r\n" % (
        path,
        lines,
        body,
        end,
    )


def get(path: bytes = b"x", lines: bytes = b"Host: a\r\n", version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return b"%b /%b HTTP/%b\r\n%b\r\n" % (method, path, version, lines)


class Answered(Struct, frozen=True):
    """A response. body: what the application was asked, or the code of a refusal."""

    status: int
    body: str
    closes: bool
    chunked: bool


class Outcome(Struct, frozen=True):
    """All that came of a connection. ended: whether the server closed it. seen: the requests of the application."""

    answers: list[Answered]
    ended: bool
    seen: list[str]


class Transport:
    """Mutable: what was written, and how far it is closed."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.ended = False
        self.closing = False
        self.paused = False
        self.lost: Callable[[Any], None] = lambda _error: None

    def write(self, data: bytes) -> None:
        assert not self.ended, "it said that it would send nothing more"
        if not self.closing:
            self.written += data

    def write_eof(self) -> None:
        assert not self.closing
        self.ended = True

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default


class Application:
    """Answers with what it was asked. Mutable: what it saw.

    /early answers before it reads, /stream without a length, /forever never ends. gate: what each answer waits for.
    """

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}"
        if scope["path"] != "/early":
            body, more = b"", True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body, more = body + message["body"], message["more_body"]
            asked += f" {body.decode()}"
        self.seen.append(asked)
        await self.gate.wait()
        answer = json.dumps({"asked": asked}).encode()
        lengths = [] if scope["path"] in {"/stream", "/forever"} else [(b"content-length", b"%d" % len(answer))]
        kept = [(b"connection", b"keep-alive")] if scope["path"] == "/stream" else []
        await send({"type": "http.response.start", "status": 200, "headers": [*lengths, *kept]})
        for byte in answer:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        if scope["path"] == "/forever":
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Bench:
    """A connection with its two ends. Mutable: as they are."""

    def __init__(self, *, held: bool = False) -> None:
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()
        self.application = Application(self.gate)
        edge = ConnectionRegistry(ConnectionLimits(10, 20, 20))
        self.connection = Connection(edge, render_error_for_path, CONFIG, ServerState(), {}, asyncio.get_running_loop())
        self.connection.app = cast("Any", self.application)
        self.transport = Transport()
        self.transport.lost = self.connection.connection_lost
        self.connection.connection_made(cast("Any", self.transport))

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def send(self, data: bytes) -> None:
        """As a transport does: nothing while it is paused, or after it is closed."""
        while self.transport.paused and not self.transport.closing:
            self.gate.set()
            await asyncio.sleep(0)
        if not self.transport.closing:
            self.connection.data_received(data)

    async def outcome(self) -> Outcome:
        """What came of it."""
        self.gate.set()
        for _ in range(5):
            await self.settle()
        ended = self.transport.ended or self.transport.closing
        methods = re.findall(r"^\w+", "\n".join(self.application.seen), re.MULTILINE)
        answers = read(bytes(self.transport.written), methods)
        self.transport.close()
        await self.settle()
        return Outcome(answers, ended, self.application.seen)


def read(written: bytes, methods: Sequence[str]) -> list[Answered]:
    """The responses of a connection, of which nothing is left over."""
    answers: list[Answered] = []
    rest = written
    while rest:
        head, mark, rest = rest.partition(b"\r\n\r\n")
        assert mark, written
        status = int(head.split()[1])
        if status == 100:
            continue
        lines = head.lower().split(b"\r\n")[1:]
        headers = dict(line.split(b": ", 1) for line in lines)
        assert len(headers) == len(lines), lines
        in_chunks = b"transfer-encoding" in headers
        if len(answers) < len(methods) and methods[len(answers)] == "HEAD":
            body = b""
        elif in_chunks:
            body = b""
            while size := int((line := rest.partition(b"\r\n"))[0], 16):
                body, rest = body + line[2][:size], line[2][size + 2 :]
            rest = rest.partition(b"\r\n\r\n")[2]
        elif b"content-length" in headers:
            size = int(headers[b"content-length"])
            body, rest = rest[:size], rest[size:]
            assert len(body) == size
        else:
            body, rest = rest, b""
        told: Any = json.loads(body) if body else {}
        said = told.get("asked") or told.get("error", {}).get("code", "")
        answers.append(Answered(status, said, headers.get(b"connection") == b"close", in_chunks))
    return answers


async def whole(data: bytes) -> Outcome:
    """What comes of it in one segment."""
    bench = Bench()
    await bench.send(data)
    return await bench.outcome()


async def cut(pieces: Sequence[bytes], *, at_once: bool, held: bool) -> Outcome:
    """What comes of it in several. at_once: nothing happens between them. held: no answer begins before all has come."""
    bench = Bench(held=held)
    for piece in pieces:
        await bench.send(piece)
        if not at_once:
            await bench.settle()
    return await bench.outcome()


def codes(outcome: Outcome) -> list[tuple[int, str]]:
    return [(answer.status, answer.body) for answer in outcome.answers]


BAD = (400, "invalid_http")


def ok(*asked: str) -> list[tuple[int, str]]:
    return [(200, each) for each in asked]


STREAMS: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "a length": (post(), ok("POST /x body")),
    "chunks": (chunked(), ok("POST /x body")),
    "an offer": (post(lines=H2C), ok("POST /x body")),
    "an offer of a websocket": (post(lines=WEBSOCKET), ok("POST /x body")),
    "an offer with chunks": (chunked(lines=H2C), ok("POST /x body")),
    "an offer without a body": (get(lines=b"Host: a\r\n" + H2C), ok("GET /x ")),
    "an offer twice": (post(lines=H2C + b"UPGRADE:\twebsocket\r\n"), ok("POST /x body")),
    "an offer without Connection": (post(lines=b"Upgrade: h2c\r\n"), ok("POST /x body")),
    "an offer in a trailer": (
        chunked(end=b"Upgrade: h2c\r\nConnection: Upgrade\r\n") + get(b"y"),
        ok("POST /x body", "GET /y "),
    ),
    "an offer of HTTP/1.0": (
        b"POST /x HTTP/1.0\r\n" + H2C + b"Content-Length: 4\r\n\r\nbody",
        ok("POST /x body"),
    ),
    "two": (post() + post(b"y"), ok("POST /x body", "POST /y body")),
    "two, the second with an offer": (post() + post(b"y", lines=H2C), ok("POST /x body", "POST /y body")),
    "two, the first with an offer": (chunked(lines=WEBSOCKET) + post(b"y"), ok("POST /x body", "POST /y body")),
    "two with offers": (chunked(lines=H2C) + chunked(b"y", lines=H2C), ok("POST /x body", "POST /y body")),
    "two, one early": (post(b"early") + post(b"y"), ok("POST /early", "POST /y body")),
    "a body like a head": (post(body=HIDDEN) + get(b"y"), ok(f"POST /x {HIDDEN.decode()}", "GET /y ")),
    "a body like a head, with an offer": (
        post(body=HIDDEN, lines=H2C) + get(b"y"),
        ok(f"POST /x {HIDDEN.decode()}", "GET /y "),
    ),
    "chunks like heads": (
        chunked(chunks=(HIDDEN, HIDDEN[5:])) + get(b"y"),
        ok(f"POST /x {(HIDDEN + HIDDEN[5:]).decode()}", "GET /y "),
    ),
    "chunks like heads, with an offer": (
        chunked(chunks=(HIDDEN, b"\r\n" + HIDDEN), lines=H2C) + get(b"y"),
        ok(f"POST /x {HIDDEN.decode()}\r\n{HIDDEN.decode()}", "GET /y "),
    ),
    "closed by the client": (post(lines=b"Connection: close\r\n") + HIDDEN, ok("POST /x body")),
    "closed by the client, with an offer": (
        post(lines=b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n") + HIDDEN,
        ok("POST /x body"),
    ),
    "closed in a trailer": (chunked(end=b"Connection: close\r\n") + HIDDEN, ok("POST /x body")),
    "empty lines between": (b"\r\n\r\n" + post() + b"\r\n\r\n" + get(b"y"), ok("POST /x body", "GET /y ")),
    "an expectation": (post(lines=b"Expect: 100-continue\r\n") + get(b"y"), ok("POST /x body", "GET /y ")),
    "garbage": (b"\x16\x03\x01\r\n\r\n" + HIDDEN, [BAD]),
    "garbage after one": (post() + b"\0\0\r\n\r\n" + HIDDEN, [*ok("POST /x body"), BAD]),
    "garbage after two": (post() + get(b"y") + b" \r\n\r\n" + HIDDEN, [*ok("POST /x body", "GET /y "), BAD]),
    "a bad chunk": (chunked()[:-5] + b"xyz\r\n" + HIDDEN, [BAD]),
    "a bad chunk after one": (get(b"y") + chunked()[:-5] + b"xyz\r\n" + HIDDEN, [*ok("GET /y "), BAD]),
    "a bad chunk with an offer": (chunked(lines=H2C)[:-5] + b"xyz\r\n" + HIDDEN, [BAD]),
    "length and chunks": (chunked(lines=b"Content-Length: 4\r\n") + HIDDEN, [BAD]),
    "length and chunks with an offer": (chunked(lines=b"Content-Length: 4\r\n" + H2C) + HIDDEN, [BAD]),
    "an offer, length and chunks": (chunked(lines=H2C + b"Content-Length: 4\r\n") + HIDDEN, [BAD]),
    "gzip, chunked": (chunked().replace(b": chunked", b": gzip, chunked") + HIDDEN, [BAD]),
    "gzip, chunked, after one": (
        get(b"y") + chunked().replace(b": chunked", b": gzip, chunked"),
        [*ok("GET /y "), BAD],
    ),
    "gzip, chunked, with an offer": (chunked(lines=H2C).replace(b": chunked", b": gzip, chunked") + HIDDEN, [BAD]),
    "gzip with an offer": (get(lines=b"Host: a\r\nTransfer-Encoding: gzip\r\n" + H2C) + HIDDEN, [BAD]),
    "identity": (get(lines=b"Host: a\r\nTransfer-Encoding: identity\r\n") + HIDDEN, [BAD]),
    "chunks of HTTP/1.0": (chunked().replace(b"HTTP/1.1", b"HTTP/1.0") + HIDDEN, [BAD]),
    "two lengths": (post(lines=b"Content-Length: 4\r\n") + HIDDEN, [BAD]),
    "two lengths with an offer": (post(lines=b"Content-Length: 9\r\n" + H2C) + HIDDEN, [BAD]),
    "a folded header": (post(lines=b"X-A: b\r\n c\r\n") + HIDDEN, [BAD]),
    "a folded coding": (chunked().replace(b": chunked", b":\r\n chunked") + HIDDEN, [BAD]),
    "a bare line feed": (post(lines=b"X-A: b\n") + HIDDEN, [BAD]),
    "a bare line feed after an offer": (post(lines=H2C + b"X-A: b\nX-B: c\r\n") + HIDDEN, [BAD]),
    "a bare line feed in chunks": (chunked().replace(b"\r\nbo", b"\nbo") + HIDDEN, [BAD]),
    "a space before the colon": (post(lines=b"X-A : b\r\n") + HIDDEN, [BAD]),
    "no Host": (get(lines=b"") + HIDDEN, [BAD]),
    "no Host, after one": (get(b"y") + get(lines=b"") + HIDDEN, [*ok("GET /y "), BAD]),
    "no Host, with a body": (post().replace(b"Host: a\r\n", b"") + HIDDEN, [BAD]),
    "two Hosts": (get(lines=b"Host: a\r\nHost: b\r\n") + HIDDEN, [BAD]),
    "two Hosts with an offer": (post(lines=b"Host: a\r\n" + H2C) + HIDDEN, [BAD]),
    "two Hosts in one": (get(lines=b"Host: a, b\r\n") + HIDDEN, [BAD]),
    "a Host with a name": (get(lines=b"Host: u@a\r\n") + HIDDEN, [BAD]),
    "a Host with spaces after it": (get(lines=b"Host: a:80 \t\r\n"), ok("GET /x ")),
    "a proxy's target": (get().replace(b" /x", b" http://A:80/x?y"), ok("GET /x ")),
    "a proxy's target without a path": (get().replace(b" /x", b" http://a"), ok("GET / ")),
    "a proxy's target with an offer": (post(lines=H2C).replace(b" /x", b" http://a/x"), ok("POST /x body")),
    "a proxy's target of another host": (get().replace(b" /x", b" http://b/x") + HIDDEN, [BAD]),
    "a proxy's target with a user": (get().replace(b" /x", b" http://a@a/x") + HIDDEN, [BAD]),
    "another scheme": (get().replace(b" /x", b" ftp://a/x") + HIDDEN, [BAD]),
    "a star": (get(method=b"OPTIONS").replace(b" /x", b" *"), ok("OPTIONS * ")),
    "a star to get": (get().replace(b" /x", b" *") + HIDDEN, [BAD]),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + HIDDEN, [BAD]),
    "CONNECT after one": (get(b"y") + b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + HIDDEN, [*ok("GET /y "), BAD]),
    "HEAD": (get(method=b"HEAD") + get(b"y"), [(200, ""), *ok("GET /y ")]),
    "HEAD of a stream": (get(b"stream", method=b"HEAD") + get(b"y"), [(200, ""), *ok("GET /y ")]),
    "HEAD of what never ends": (get(b"forever", method=b"HEAD") + get(b"y"), [(200, ""), *ok("GET /y ")]),
    "HTTP/1.0": (get(version=b"1.0", lines=b"") + HIDDEN, ok("GET /x ")),
    "HTTP/1.0 that would be kept": (get(version=b"1.0", lines=b"Connection: keep-alive\r\n") + HIDDEN, ok("GET /x ")),
    "HTTP/1.0 with a body": (b"POST /x HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody" + HIDDEN, ok("POST /x body")),
    "HTTP/1.0 with a stream": (get(b"stream", version=b"1.0", lines=b"") + HIDDEN, ok("GET /stream ")),
    "HTTP/1.0 early": (b"POST /early HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody", ok("POST /early")),
    "HTTP/1.0 with HEAD": (get(b"stream", version=b"1.0", lines=b"", method=b"HEAD") + HIDDEN, [(200, "")]),
}
CLOSED = {name for name in STREAMS if "HTTP/1.0" in name or name.startswith("closed") or BAD in STREAMS[name][1]}


@pytest.mark.parametrize("name", STREAMS)
async def test_what_comes_in_one_segment_is_answered_or_refused(name: str):
    """In order; what is refused is the last, and is no request of anybody's."""
    data, expected = STREAMS[name]
    outcome = await whole(data)
    assert codes(outcome) == expected
    assert outcome.ended == (name in CLOSED)
    assert not any("/hidden" in asked.split("\r\n")[0].split(" ")[1] for asked in outcome.seen)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(("at_once", "held"), [(True, False), (False, False), (False, True)])
async def test_where_segments_end_changes_nothing(name: str, at_once: bool, held: bool):  # noqa: FBT001
    """At every place, and at all of them; whether answers begin between them or after them."""
    data, expected = STREAMS[name]
    cuts = [(data[:place], data[place:]) for place in range(1, len(data))]
    for pieces in [*cuts, [bytes([byte]) for byte in data]]:
        outcome = await cut(pieces, at_once=at_once, held=held)
        assert codes(outcome) == expected, pieces
        assert outcome.ended == (name in CLOSED), pieces


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("path", [b"x", b"stream"])
async def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection(version: bytes, path: bytes):
    """Whether or not the length is known, and whatever it asks for."""
    outcome = await whole(get(path, b"Host: a\r\nConnection: keep-alive\r\n", version))
    [answer] = outcome.answers
    old = version == b"1.0"
    assert answer == Answered(200, f"GET /{path.decode()} ", closes=old, chunked=not old and path == b"stream")
    assert outcome.ended == old


async def test_http_1_0_is_told_nothing_before_its_answer():
    """An expectation of it is none (RFC 9110 §10.1.1)."""
    for version, told in ((b"1.0", 0), (b"1.1", 1)):
        bench = Bench()
        head = b"POST /x HTTP/%b\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n" % version
        await bench.send(head)
        await bench.settle()
        assert bench.transport.written.count(b"100 Continue") == told
        await bench.send(b"body")
        assert codes(await bench.outcome()) == ok("POST /x body")


async def test_who_waits_for_leave_and_is_answered_instead_loses_the_connection():
    """Whether the body comes after that, nobody knows: what does come is no request."""
    bench = Bench()
    await bench.send(post(b"early", b"", b"Expect: 100-continue\r\n").replace(b"Length: 0", b"Length: 40"))
    await bench.settle()
    await bench.send(HIDDEN)
    outcome = await bench.outcome()
    assert outcome.answers == [Answered(200, "POST /early", closes=True, chunked=False)]
    assert (outcome.ended, outcome.seen) == (True, ["POST /early"])


@pytest.mark.parametrize("line", [b"Connection: close\r\n", b"Expect: 100-continue\r\n"])
async def test_an_answer_that_ends_the_connection_can_be_read_while_the_body_still_comes(line: bytes):
    """Closed at once, the client's system would forget the answer (RFC 9112 §9.6)."""
    bench = Bench()
    await bench.send(post(b"early", b"", line).replace(b"Length: 0", b"Length: 4"))
    await bench.settle()
    assert (bench.transport.ended, bench.transport.closing) == (True, False)
    await bench.send(b"body")
    assert codes(await bench.outcome()) == ok("POST /early")


@pytest.mark.parametrize("late", [b"\r\n", b"GET /slow HT"])
async def test_what_comes_slowly_behind_a_request_does_not_spoil_its_answer(late: bytes):
    """Its time begins when the answer has ended."""
    bench = Bench(held=True)
    await bench.send(post() + late)
    await bench.settle()
    now = asyncio.get_running_loop().time()
    bench.connection.check_timeouts(now + 1000)
    bench.gate.set()
    await bench.settle()
    assert codes_of(bench) == ok("POST /x body")
    bench.connection.check_timeouts(now + 1000)
    expected = [] if late == b"\r\n" else [(408, "request_too_slow")]
    assert codes(await bench.outcome()) == [*ok("POST /x body"), *expected]


def codes_of(bench: Bench) -> list[tuple[int, str]]:
    return [(answer.status, answer.body) for answer in read(bytes(bench.transport.written), [])]


@pytest.mark.parametrize("padding", [b"X-A: %b\r\n", b"X-A:%b b\r\n"])
@pytest.mark.parametrize("over", [0, 1])
async def test_a_heads_length_is_counted_however_it_comes(padding: bytes, over: int):
    """Whitespace counts, too."""
    fill = b" " if b" b" in padding else b"a"
    bare = len(get(lines=b"Host: a\r\n" + padding % b""))
    head = get(lines=b"Host: a\r\n" + padding % (fill * (MAX_HEAD_BYTES - bare + over)))
    assert len(head) == MAX_HEAD_BYTES + over
    for data, before in ((head, []), (post() + head, ok("POST /x body"))):
        for place in (len(data), 100, len(data) - 2, len(data) - 1):
            outcome = await cut([data[:place], data[place:]], at_once=False, held=False)
            refused = over and (fill == b"a" or not before)
            if refused or not over:
                assert codes(outcome) == [*before, *([(431, "head_too_large")] if refused else ok("GET /x "))], place


@pytest.mark.parametrize("held", [True, False])
async def test_a_large_head_is_refused_after_the_answers_before_it(held: bool):  # noqa: FBT001
    """Not in their place."""
    bench = Bench(held=held)
    await bench.send(post() + b"GET /x HTTP/1.1\r\n")
    for _ in range(20):
        await bench.send(b"X-A: %b\r\n" % (b"a" * 10_000))
    assert codes(await bench.outcome()) == [*ok("POST /x body"), (431, "head_too_large")]


async def test_garbage_in_a_body_that_nobody_reads_gets_no_second_answer():
    """One request has one answer: the next would be taken for another's."""
    bench = Bench()
    await bench.send(chunked(b"early")[:-5])
    await bench.settle()
    await bench.send(b"xyz\r\n" + HIDDEN)
    outcome = await bench.outcome()
    assert codes(outcome) == ok("POST /early")
    assert outcome.ended
