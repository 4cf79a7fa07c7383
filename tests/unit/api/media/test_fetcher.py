"""Pictures are fetched from public addresses only, within limits, and nothing inside is told or touched."""

import asyncio
import contextlib
import gzip
import socket
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from api.core.problems import Problem
from api.media.blocks import OfficeDocument, RemoteMedia, build_image
from api.media.fetcher import Fetcher, to_part
from api.media.public_addresses import Address, is_public
from shared.turn import Document, Image
from tests.support.timeouts import TEST_TIMEOUT
from tests.unit.api.media.test_blocks import png

WHERE = "messages[0].content[1]"
NAME = "pictures.test"

# What a test's server does with a request: bytes are the answer; a function talks for itself.
type Answer = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def fetch(fetcher: Fetcher, remote: RemoteMedia) -> Image | Document | OfficeDocument:
    return to_part(remote, await fetcher.fetch_bytes(remote))


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    fields = {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def to(url: str, status: str = "302 Found") -> bytes:
    return answer(status=status, location=url)


class Site:
    """An HTTP server; it counts the connections and keeps the heads of the requests."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.connections = 0
        self.heads: list[str] = []
        self.left = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            found = self.answers[head.split()[1]]
            if isinstance(found, bytes):
                writer.write(found)
                await writer.drain()
            else:
                await found(reader, writer)
        self.left.set()
        writer.close()


@contextlib.asynccontextmanager
async def serving(answers: dict[str, Answer], host: str = "127.0.0.1", **kwargs: Any) -> AsyncGenerator[Site]:
    """A site on a free port, or on the socket given."""
    site = Site(answers)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(site.serve(reader, writer)))

    place = {} if "sock" in kwargs else {"host": host, "port": kwargs.pop("port", 0)}
    server = await asyncio.start_server(connected, **place, **kwargs)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        async with asyncio.timeout(TEST_TIMEOUT):
            await asyncio.gather(*tasks)
            await server.wait_closed()


class Names:
    """A name server of its own: the answers of each name, one after the other, the last one for good."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: Counter[str] = Counter()

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        answers = self.answers.get(host)
        if not answers:
            raise socket.gaierror("no such name")
        self.asked[host] += 1
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(address) for address in found.split()]


def only(*allowed: str) -> Callable[[Address], bool]:
    """Stands for "public" where all a test has is loopback addresses."""
    return lambda address: str(address) in allowed


@contextlib.asynccontextmanager
async def fetching(names: Names | None = None, **settings: Any) -> AsyncGenerator[Fetcher]:
    """A fetcher for which 127.0.0.1 is public, any port is right and NAME is there."""
    given: dict[str, Any] = {
        "may_connect": only("127.0.0.1"),
        "resolve": names or Names(pictures_test=["127.0.0.1"]),
        "ports": None,
    }
    fetcher = Fetcher(True, **(given | settings))
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def problem_of(fetcher: Fetcher, url: str) -> Problem:
    """Why it is not fetched; always with the part and what to do."""
    with pytest.raises(Problem) as caught:
        async with asyncio.timeout(TEST_TIMEOUT):
            await fetch(fetcher, RemoteMedia(url, WHERE))
    assert caught.value.param == WHERE
    assert f"`{WHERE}`" in caught.value.message
    return caught.value


async def until_left(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing, and wait for the other side to leave."""
    await reader.read()


# Where a picture comes from


async def test_a_picture_comes_with_its_bytes():
    """A 200 with a picture is that picture, whatever its Content-Type says."""
    async with serving({"/a.png": answer(png(), content_type="text/html")}) as site, fetching() as fetcher:
        found = await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/a.png", WHERE))
    assert found == build_image(png(), WHERE)
    assert isinstance(found, Image)


async def test_the_request_holds_nothing_that_is_not_needed(monkeypatch: pytest.MonkeyPatch):
    """No proxy from the environment, no cookie, no Referer, no credential, and the name as Host."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    answers: dict[str, Answer] = {
        "/a?b=%2F": answer(status="302 Found", location="/c#d", set_cookie="a=b; Path=/"),
        "/c": answer(png()),
    }
    async with serving(answers) as site, fetching() as fetcher:
        await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/a?b=%2F#f", WHERE))
    same = (
        f"Host: {NAME}:{site.port}\r\n"
        "Accept: image/png, image/jpeg, image/gif, image/webp\r\n"
        "Accept-Encoding: identity\r\n"
        "Connection: close\r\n"
        "User-Agent: claude-api-server\r\n\r\n"
    )
    assert site.heads == [f"GET /a?b=%2F HTTP/1.1\r\n{same}", f"GET /c HTTP/1.1\r\n{same}"]


async def test_names_of_one_address_do_not_share_a_connection():
    """A connection made for a name never serves another one."""
    names = Names(pictures_test=["127.0.0.1"], other_test=["127.0.0.1"])
    async with serving({"/": answer(png())}) as site, fetching(names) as fetcher:
        for name in (NAME, "other.test", NAME):
            await fetch(fetcher, RemoteMedia(f"http://{name}:{site.port}/", WHERE))
    assert site.connections == 3


async def test_an_address_that_can_t_be_reached_leaves_the_next_one():
    """Two addresses of each family are tried."""
    names = Names(pictures_test=["127.0.0.3 127.0.0.1"])
    async with (
        serving({"/": answer(png())}) as site,
        fetching(names, may_connect=only("127.0.0.1", "127.0.0.3")) as fetcher,
    ):
        await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/", WHERE))
        assert site.connections == 1
        nobody = Names(pictures_test=["127.0.0.3"])
        async with fetching(nobody, may_connect=only("127.0.0.3")) as other:
            problem = await problem_of(other, f"http://{NAME}:{site.port}/")
    assert (problem.status, problem.code) == (400, "image_fetch_failed")
    assert "127" not in problem.message


# Over TLS


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of that name uses, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_tls_is_with_the_name_not_with_the_address_it_was_found_at(tmp_path: Path):
    """The name is what the server hears (SNI) and what its certificate must hold."""
    server, trusting = certificate(tmp_path, NAME)
    heard: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: heard.append(name)
    names = Names(pictures_test=["127.0.0.1"], other_test=["127.0.0.1"])
    async with serving({"/": answer(png())}, ssl=server) as site, fetching(names, verify=trusting) as fetcher:
        assert await fetch(fetcher, RemoteMedia(f"https://{NAME}:{site.port}/", WHERE)) == build_image(png(), WHERE)
        problem = await problem_of(fetcher, f"https://other.test:{site.port}/")
    assert (problem.status, problem.code) == (400, "image_fetch_failed")
    assert heard == [NAME, "other.test"]
    assert len(site.heads) == 1


async def test_a_certificate_nobody_signed_is_not_trusted(tmp_path: Path):
    """Verification is on unless a test says otherwise."""
    server, _ = certificate(tmp_path, NAME)
    async with serving({"/": answer(png())}, ssl=server) as site, fetching() as fetcher:
        problem = await problem_of(fetcher, f"https://{NAME}:{site.port}/")
    assert problem.code == "image_fetch_failed"
    assert site.heads == []


# Where nothing is fetched from

LOOPBACK = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "127.1", "0.0.0.0", "0"]
LOOPBACK_6 = ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]"]
INSIDE = [
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe"),
    *("0177.0.0.1", "127.0.0.1.", "127\u30020\u30020\u30021", "224.0.0.1", "239.255.255.250", "255.255.255.255"),
    *("192.0.2.1", "198.18.0.1", "240.0.0.1", "[::127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]"),
    *("[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[2001:db8::1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::1]", "[2002:a00:1::1]"),
    *("[2001:0:7f00:1::1]", "[2001:0:808:808::80ff:fffe]", "[::ffff:0:127.0.0.1]"),
]


def everywhere() -> socket.socket:
    """A socket that all of this machine's addresses lead to."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("0.0.0.0", 0))


@pytest.mark.parametrize("host", [*LOOPBACK, *LOOPBACK_6])
async def test_no_form_of_loopback_is_connected_to(host: str):
    """As it is by default, with the system's own name server; without the check, each form would connect."""
    async with serving({"/": answer(png())}, sock=everywhere()) as site:
        url = f"http://{host}:{site.port}/"
        fetcher = Fetcher(True, ports=None)
        problem = await problem_of(fetcher, url)
        await fetcher.close()
        assert (problem.status, problem.code) == (400, "image_fetch_refused")
        assert "data URL" in problem.message
        assert site.connections == 0
        if host in LOOPBACK or socket.has_dualstack_ipv6():
            careless = Fetcher(True, ports=None, may_connect=lambda _: True)
            assert await fetch(careless, RemoteMedia(url, WHERE)) == build_image(png(), WHERE)
            await careless.close()


def untouched(fetcher: Fetcher) -> list[str]:
    """The addresses that the fetcher connects to from now on; it gets a picture from each."""
    asked: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        return httpx2.Response(200, content=pieces())

    async def pieces() -> AsyncGenerator[bytes]:
        yield png()

    fetcher._transport = httpx2.MockTransport(handle)
    return asked


@pytest.mark.parametrize("host", [*LOOPBACK, *LOOPBACK_6, *INSIDE])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_inside_is_asked(scheme: str, host: str):
    """Private, link-local, metadata, carrier, multicast, documentation, and IPv6 that carries such an address."""
    fetcher = Fetcher(True)
    asked = untouched(fetcher)
    problem = await problem_of(fetcher, f"{scheme}://{host}/latest/meta-data/")
    assert (problem.status, problem.code) == (400, "image_fetch_refused")
    assert asked == []


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700:4700::1111]", "[64:ff9b::101:101]", "[::ffff:1.1.1.1]"])
async def test_what_is_public_is_asked(host: str):
    """So that the refusals prove something."""
    fetcher = Fetcher(True)
    asked = untouched(fetcher)
    assert await fetch(fetcher, RemoteMedia(f"http://{host}/", WHERE)) == build_image(png(), WHERE)
    assert [ip_address(address) for address in asked] == [ip_address(host.strip("[]"))]


async def test_a_name_with_one_address_inside_is_refused_whole():
    """Every address is checked before the first connection."""
    names = Names(pictures_test=["127.0.0.1 127.0.0.2"])
    async with serving({"/": answer(png())}) as site, fetching(names) as fetcher:
        problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/")
    assert problem.code == "image_fetch_refused"
    assert site.connections == 0


async def test_a_name_that_changes_its_mind_does_not_win():
    """The address that was checked is the one connected to; the name is resolved once a hop, and checked again."""
    names = Names(pictures_test=["127.0.0.1", "127.0.0.2"])
    async with (
        serving({"/": answer(png()), "/again": to("/")}) as public,
        serving({"/": answer(png())}, host="127.0.0.2", port=public.port) as inside,
        fetching(names) as fetcher,
    ):
        await fetch(fetcher, RemoteMedia(f"http://{NAME}:{public.port}/", WHERE))
        assert (names.asked[NAME], public.connections, inside.connections) == (1, 1, 0)
        names.answers[NAME] = ["127.0.0.1", "127.0.0.2"]
        problem = await problem_of(fetcher, f"http://{NAME}:{public.port}/again")
        assert (names.asked[NAME], public.connections, inside.connections) == (3, 2, 0)
    assert problem.code == "image_fetch_refused"


async def test_a_name_that_is_not_there_and_one_that_leads_inside_sound_alike():
    """Which names and addresses there are inside can't be learnt from the refusals."""
    names = Names(inside_test=["10.1.2.3"])
    async with fetching(names) as fetcher:
        inside = await problem_of(fetcher, "http://inside.test/")
        missing = await problem_of(fetcher, "http://missing.test/")
    assert (inside.status, inside.code, inside.message) == (missing.status, missing.code, missing.message)
    assert "10.1.2.3" not in inside.message


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.png", "//pictures.test/", "http://", "http:///a", "file:///etc/passwd", "ftp://pictures.test/"),
        *("data:image/png;base64,", "gopher://pictures.test/", "unix:///run/x", "http+unix://%2Frun%2Fx/", "\ud800"),
        *("http://me:secret@pictures.test/", "http://me@pictures.test/", "http://:@pictures.test:1/", "http://[::1"),
        *("http://pictures.test:22/", "https://pictures.test:8443/", "http://pictures.test:0/", "http://x:99999/"),
        *("http://a\r\nb/", "http://" + "a" * 64 + ".test/", "http://" + "a" * 70000 + "/", "http://a\\@b/"),
    ],
    ids=range(24),
)
async def test_what_is_no_plain_http_address_is_refused_before_a_name_is_asked_for(url: str):
    """Only http and https, ports 80 and 443, no user and no password."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        raise UnicodeError(host)

    fetcher = Fetcher(True, resolve=resolve)
    touched = untouched(fetcher)
    problem = await problem_of(fetcher, url)
    assert (problem.status, problem.code) == (400, "image_fetch_refused")
    assert (set(asked) <= {"a" * 64 + ".test"}, touched) == (True, [])


async def test_fetching_can_be_turned_off():
    """Then no name is asked for, and the owner's setting is named."""
    names = Names(pictures_test=["127.0.0.1"])
    fetcher = Fetcher(False, resolve=names, may_connect=lambda _: True)
    problem = await problem_of(fetcher, f"http://{NAME}/")
    await fetcher.close()
    assert (problem.status, problem.code) == (400, "image_fetch_refused")
    assert "FETCH_IMAGES" in problem.message
    assert "data URL" in problem.message
    assert not names.asked


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_a_public_address_is_followed(status: str):
    """Absolute and relative, up to three times."""
    names = Names(pictures_test=["127.0.0.1"], other_test=["127.0.0.1"])
    answers: dict[str, Answer] = {"/1": to("2", status), "/3": answer(png())}
    async with serving(answers) as site, fetching(names) as fetcher:
        answers["/2"] = to(f"//other.test:{site.port}/3", status)
        found = await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/1", WHERE))
    assert found == build_image(png(), WHERE)
    assert [head.split("\r\n")[1] for head in site.heads] == [
        f"Host: {NAME}:{site.port}",
        f"Host: {NAME}:{site.port}",
        f"Host: other.test:{site.port}",
    ]


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.2:{port}/", "http://inside.test:{port}/", "http://0x7f.2:{port}/", "file:///etc/passwd"),
        *("http://[::1]:{port}/", "http://me:x@pictures.test:{port}/", "http://[", "//127.0.0.2:{port}/"),
    ],
)
async def test_a_redirect_to_an_address_inside_is_refused(target: str):
    """A hop is checked as the first address was; no connection is made."""
    leads = {NAME: "127.0.0.1", "inside.test": "127.0.0.2", "0x7f.2": "127.0.0.2"}
    names = Names(**{name: [address] for name, address in (leads | {"127.0.0.2": "127.0.0.2", "::1": "::1"}).items()})
    answers: dict[str, Answer] = {}
    async with (
        serving(answers) as public,
        serving({"/": answer(png())}, host="127.0.0.2", port=public.port) as inside,
        fetching(names) as fetcher,
    ):
        answers["/"] = to(target.format(port=public.port))
        problem = await problem_of(fetcher, f"http://{NAME}:{public.port}/")
        assert (public.connections, inside.connections) == (1, 0)
    assert (problem.status, problem.code) == (400, "image_fetch_refused")
    assert "127.0.0.2" not in problem.message
    assert "inside" not in problem.message


async def test_a_redirect_to_another_port_is_refused():
    """Ports 80 and 443 on every hop."""
    fetcher = Fetcher(True)
    fetcher._transport = httpx2.MockTransport(lambda _: httpx2.Response(302, headers={"location": "http://1.1.1.1:22"}))
    assert (await problem_of(fetcher, "http://1.1.1.1/")).code == "image_fetch_refused"


async def test_redirects_end_after_three():
    """The fourth is a failure, and a loop ends."""
    answers: dict[str, Answer] = {"/0": answer(png()), **{f"/{left}": to(f"/{left - 1}") for left in range(1, 5)}}
    async with serving(answers | {"/loop": to("/loop")}) as site, fetching() as fetcher:
        assert await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/3", WHERE)) == build_image(png(), WHERE)
        for path in ("4", "loop"):
            before = site.connections
            problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/{path}")
            assert (problem.status, problem.code) == (400, "image_fetch_failed")
            assert site.connections - before == 4


# Limits


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A picture that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + png())
    while True:
        writer.write(bytes(4096))
        await writer.drain()


async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """More than is announced, in chunks that hide it."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 10\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
        await writer.drain()


async def announced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Too much is announced, and nothing comes."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10001\r\n\r\n")
    await reader.read()


@pytest.mark.parametrize("too_large", [endless, lying, announced])
async def test_a_body_over_the_limit_is_left_where_the_limit_is(too_large: Answer):
    """413 as soon as it is known, and the connection ends."""
    async with serving({"/": too_large}) as site, fetching(max_bytes=10000) as fetcher:
        problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/")
        async with asyncio.timeout(TEST_TIMEOUT):
            await site.left.wait()
    assert (problem.status, problem.code) == (413, "image_too_large")
    assert "10000" in problem.message


async def test_a_body_of_exactly_the_limit_is_taken():
    """The limit is the last size that is right."""
    data = png().ljust(10000, b"\0")
    async with serving({"/": answer(data)}) as site, fetching(max_bytes=10000) as fetcher:
        assert await fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/", WHERE)) == build_image(data, WHERE)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte at a time, always another one."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"\0")
        await writer.drain()
        await asyncio.sleep(0)


async def halfway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half a picture, then nothing."""
    writer.write(answer(png(), content_length="1000"))
    await reader.read()


@pytest.mark.parametrize("limit", ["read_timeout", "total_timeout"])
@pytest.mark.parametrize("slow", [until_left, halfway])
async def test_a_server_that_falls_silent_is_left(slow: Answer, limit: str):
    """Either limit ends it, and the connection with it."""
    async with serving({"/": slow}) as site, fetching(None, **{limit: 0.1}) as fetcher:
        problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/")
        async with asyncio.timeout(TEST_TIMEOUT):
            await site.left.wait()
    assert (problem.status, problem.code) == (400, "image_fetch_failed")
    assert "data URL" in problem.message


async def test_a_body_that_drips_ends_with_the_time_for_all_of_it():
    """Progress does not lengthen the total."""
    async with (
        serving({"/": dripping}) as site,
        fetching(total_timeout=0.3, read_timeout=9, max_bytes=10**9) as fetcher,
    ):
        problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/")
    assert (problem.status, problem.code) == (400, "image_fetch_failed")


async def test_a_name_server_that_does_not_answer_ends_with_the_total_time():
    """Finding the address is part of it."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    async with fetching(resolve=resolve, total_timeout=0.1) as fetcher:
        problem = await problem_of(fetcher, f"http://{NAME}/")
    assert problem.code == "image_fetch_failed"


async def test_many_that_are_given_up_leave_room_for_the_next():
    """A connection that was left is no longer counted."""
    async with serving({"/": until_left, "/a": answer(png())}) as site:
        async with fetching(total_timeout=0.2) as fetcher:
            gone = await asyncio.gather(*(problem_of(fetcher, f"http://{NAME}:{site.port}/") for _ in range(70)))
        assert {problem.code for problem in gone} == {"image_fetch_failed"}
        async with fetching() as fetcher:
            many = [fetch(fetcher, RemoteMedia(f"http://{NAME}:{site.port}/a", WHERE)) for _ in range(70)]
            assert await asyncio.gather(*many) == [build_image(png(), WHERE)] * 70


# Answers that are no picture


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (answer(b"<html>", content_type="image/png"), "invalid_image"),
        (answer(b""), "invalid_image"),
        (answer(gzip.compress(bytes(10**7)), content_encoding="gzip"), "image_fetch_failed"),
        (answer(png(), content_encoding="br"), "image_fetch_failed"),
        (answer(gzip.compress(png()), transfer_encoding="gzip, chunked"), "image_fetch_failed"),
        (answer(png(), "404 Not Found"), "image_fetch_failed"),
        (answer(png(), "500 Oops"), "image_fetch_failed"),
        (answer(png(), "206 Partial Content"), "image_fetch_failed"),
        (answer(png(), "302 Found"), "image_fetch_failed"),
        (answer(png(), content_length="1000"), "image_fetch_failed"),
        (answer(png(), content_length="-1"), "image_fetch_failed"),
        (answer(png(), content_length="1, 2"), "image_fetch_failed"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "image_fetch_failed"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50000 + b"\r\n", "image_fetch_failed"),
        (b"", "image_fetch_failed"),
    ],
    ids=range(15),
)
async def test_an_answer_that_is_no_picture_is_a_400(sent: bytes, code: str):
    """A wrong type, a compressed body (bombs among them), a status, or no HTTP at all."""
    async with serving({"/": sent}) as site, fetching() as fetcher:
        problem = await problem_of(fetcher, f"http://{NAME}:{site.port}/")
    assert (problem.status, problem.code) == (400, code)
    assert "127.0.0.1" not in problem.message


# What is public

private = st.sampled_from(
    ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "224.0.0.0/4")
).flatmap(lambda network: st.ip_addresses(network=network))


def carriers(address: IPv4Address) -> list[IPv6Address]:
    """The address as IPv6 carries it: mapped, compatible, translated, NAT64, 6to4, Teredo."""
    value = int(address)
    heads = ("::ffff:0:0", "::", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::")
    return [
        *(IPv6Address(int(IPv6Address(head)) | value) for head in heads),
        IPv6Address(0x2002 << 112 | value << 80 | 1),
        IPv6Address(0x20010000 << 96 | value << 64),
        IPv6Address(0x20010000 << 96 | int(IPv4Address("1.1.1.1")) << 64 | value ^ 0xFFFFFFFF),
    ]


@given(private)
def test_an_address_inside_is_not_public_in_any_dress(address: IPv4Address):
    """Nor is any IPv6 address that leads to it."""
    assert not any(is_public(each) for each in (address, *carriers(address)))


@given(st.ip_addresses(v=4))
def test_a_carried_address_is_as_public_as_the_carried(address: IPv4Address):
    """Mapped and NAT64 lead where the IPv4 address leads."""
    mapped, _, _, nat64, *_ = carriers(address)
    assert is_public(mapped) == is_public(nat64) == is_public(address)


@given(st.ip_addresses(v=6))
def test_what_is_not_global_unicast_is_not_public(address: IPv6Address):
    """2000::/3 is all there is, but for mapped and NAT64 addresses."""
    if address.ipv4_mapped is None and address.packed[:12] != IPv6Address("64:ff9b::").packed[:12]:
        assert not is_public(address) or address.packed[0] >> 5 == 1


# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, and a cloud's own host.
SPECIAL = (
    *("0.0.0.1", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "169.254.169.254", "172.16.0.1"),
    *(
        "192.0.0.1",
        "192.0.0.9",
        "192.0.0.10",
        "192.0.0.170",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
    ),
    *("192.88.99.1", "192.88.99.2", "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:0:127.0.0.1"),
    *("64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:1::1", "2001:1::2", "2001:2::1", "2001:3::1"),
    *("2001:4:112::1", "2001:20::1", "2001:30::1", "2001:db8::1", "2002:7f00:1::", "2620:4f:8000::1", "3fff::1"),
    *("3fff:fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"),
)


@pytest.mark.parametrize("text", SPECIAL)
def test_nothing_of_the_special_registries_is_public(text: str):
    """By itself, mapped or by a translator's prefix."""
    address = ip_address(text)
    assert not is_public(address)
    if address.version == 4:
        assert not is_public(ip_address(f"::ffff:{text}"))
        assert not is_public(ip_address(f"64:ff9b::{text}"))
        assert not is_public(ip_address(b"\x20\x02" + address.packed + bytes(10)))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.215.14", "168.63.129.15", "192.88.98.1", "198.20.0.1", "2606:4700::1", "2001:4860::1"]
)
def test_their_neighbours_are(text: str):
    """The ordinary internet is asked."""
    assert is_public(ip_address(text))
