"""A caller's address, and the scheme that a proxy tells."""

import ipaddress
from typing import Any, cast

import pytest

from api.http.client_address import ClientAddressMiddleware, get_caller_address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9:4711 ", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", None),
        ("unknown", None),
        ("203.0.113", None),
        ("0x7f.0.0.1", None),
        ("127.0.0.1 ,", None),
    ],
)
def test_an_address_is_read_as_proxies_write_it(text: str, address: str | None):
    """With a port or without."""
    found = parse_address(text)
    assert (None if found is None else str(found)) == address


@pytest.mark.parametrize(
    ("trusted", "client", "scheme"), [("192.0.2.7", "203.0.113.9", "https"), ("192.0.2.8", "192.0.2.7", "http")]
)
async def test_whoever_asks_later_sees_the_caller_and_not_the_proxy(trusted: str, client: str, scheme: str):
    """Of a proxy that is not trusted, the connection's own address and scheme."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    headers = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https")]
    scope = cast("Any", {"type": "http", "client": ("192.0.2.7", 1), "scheme": "http", "headers": headers})
    await ClientAddressMiddleware(application, [ipaddress.ip_network(trusted)])(
        scope, cast("Any", None), cast("Any", None)
    )
    assert (seen[0]["client"][0], seen[0]["scheme"]) == (client, scheme)
    assert (str(get_caller_address(seen[0])) == "203.0.113.9") == (client == "203.0.113.9")
