"""Attacks on the edges: who asks for the numbers, what a browser is used for, and what the log shows."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient

from api.app import create_app
from api.http.drain import Drain
from api.settings import Settings

KEY = "sk-tests-0f1e2d3c4b5a6978"
ALLOWED = "127.0.0.1,10.1.0.0/16"
PAGE = "https://page.example"

attack = pytest.mark.attack("The edge of the API")


@contextlib.asynccontextmanager
async def asked_from(peer: str, folder: Path, **fields: Any) -> AsyncGenerator[AsyncTestClient[Any]]:
    """The API, as the other end of a connection from this address sees it."""
    settings = Settings.model_validate(
        {"api_secret_token": KEY, "run_dir": folder, "data_dir": folder / "data", "metrics_allow": ALLOWED, **fields}
    )
    app = create_app(settings, Drain(1))

    async def connected(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["client"] = (peer, 4000)
        await app(scope, receive, send)

    async with AsyncTestClient(connected) as client:
        client.headers["host"] = "localhost:8020"
        yield client


# The address of the connection, the headers, the proxies that are trusted.
SPOOFED = {
    "an address made up": ("203.0.113.9", {"x-forwarded-for": "127.0.0.1"}, ""),
    "the same from this machine's proxy": ("127.0.0.1", {"x-forwarded-for": "10.1.2.3"}, ""),
    "somebody behind this machine's proxy": ("127.0.0.1", {"x-forwarded-for": "203.0.113.9"}, ""),
    "a proxy that only says that it is one": ("127.0.0.1", {"via": "1.1 proxy"}, ""),
    "by the standard's header": ("127.0.0.1", {"forwarded": "for=10.1.2.3"}, ""),
    "by a proxy's own header": ("127.0.0.1", {"x-real-ip": "10.1.2.3"}, ""),
    "an address before the true one": ("192.0.2.7", {"x-forwarded-for": "127.0.0.1, 203.0.113.9"}, "192.0.2.7"),
    "one before what can't be read": ("192.0.2.7", {"x-forwarded-for": "127.0.0.1, unknown"}, "192.0.2.7"),
    "in a header of its own": ("192.0.2.7", [("x-forwarded-for", "10.1.2.3"), ("x-forwarded-for", "::1")], "192.0.2.7"),
    "by a proxy that says less": ("127.0.0.1", {"via": "1.1 proxy"}, "127.0.0.1"),
    "too many hops": ("192.0.2.7", {"x-forwarded-for": ",".join(["127.0.0.1"] * 40)}, "192.0.2.7"),
}


@attack
@pytest.mark.parametrize("case", SPOOFED)
async def test_nobody_gives_himself_another_address(tmp_path: Path, case: str):
    """The numbers stay closed to who has no key."""
    peer, headers, trusted = SPOOFED[case]
    async with asked_from(peer, tmp_path, trusted_proxies=trusted) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == 401


@pytest.mark.control
@pytest.mark.parametrize(
    ("peer", "headers", "trusted"),
    [
        ("127.0.0.1", {}, ""),
        ("10.1.2.3", {"host": "api:8020"}, ""),
        ("127.0.0.1", {}, "127.0.0.1"),
        ("192.0.2.7", {"x-forwarded-for": "10.1.2.3"}, "192.0.2.0/24"),
        ("192.0.2.7", {"x-forwarded-for": "203.0.113.9, 10.1.2.3:4711, 192.0.2.8"}, "192.0.2.0/24"),
        ("192.0.2.7", {"x-forwarded-for": "::ffff:10.1.2.3"}, "192.0.2.7"),
    ],
)
async def test_an_allowed_address_needs_no_key(tmp_path: Path, peer: str, headers: dict[str, str], trusted: str):
    """Behind a proxy of the owner's too."""
    async with asked_from(peer, tmp_path, trusted_proxies=trusted) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == 200


@attack
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "evil.example:8020"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "localhost.evil.example."}, 421),
        ({"host": "evil.example", "origin": "http://evil.example"}, 401),
        ({"origin": PAGE}, 401),
        ({"origin": "null"}, 401),
    ],
)
async def test_no_page_reads_the_numbers_by_the_browser_of_an_allowed_machine(
    tmp_path: Path, headers: dict[str, str], status: int
):
    """Neither by a name of its own that leads here, nor where pages may call the API."""
    async with asked_from("127.0.0.1", tmp_path, enable_cors=True) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status


@attack
@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/api/admin/keys"])
async def test_what_is_private_is_no_other_page_s_to_read(tmp_path: Path, path: str):
    """A browser gives such an answer to no page, whatever it was asked."""
    async with asked_from("127.0.0.1", tmp_path, enable_cors=True) as client:
        for headers in ({"origin": PAGE}, {"origin": PAGE, "authorization": f"Bearer {KEY}"}):
            answer = await client.get(path, headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")], answer.headers


@pytest.mark.control
async def test_a_page_that_may_call_the_api_may_read_what_it_asks_for(tmp_path: Path):
    """With the key, how the server is as well; its browser asks before."""
    async with asked_from("127.0.0.1", tmp_path, enable_cors=True) as client:
        asks = {
            "origin": PAGE,
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
        }
        with_key = {"origin": PAGE, "authorization": f"Bearer {KEY}"}
        answers = [
            await client.options("/health", headers=asks),
            await client.get("/health", headers=with_key),
            await client.get("/v1/models", headers={"origin": PAGE}),
        ]
        assert [answer.headers.get("access-control-allow-origin") for answer in answers] == ["*"] * 3
