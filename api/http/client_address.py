"""Decides a caller's address; no other module does.

Invariants: forwarding headers count only on a connection from a proxy of TRUSTED_PROXIES, and only as far as such
proxies wrote them: the address is the last one in X-Forwarded-For that is not a trusted proxy's. Other requests with
forwarding headers have no address, since the connection's address belongs to some proxy.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Headers = Iterable[tuple[bytes, bytes]]

CLIENT_ADDRESS_KEY = "address"
FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
# A request with one of these headers was forwarded.
FORWARDING_HEADERS = frozenset({FORWARDED_FOR, b"forwarded", b"via", b"x-real-ip", b"x-forwarded-host", b"x-forwarded"})
SCHEMES = (b"http", b"https")
MAX_HOPS = 32


class ClientOrigin(Struct, frozen=True):
    """address: the caller's; None if unknown. is_proxied: the connection comes from a trusted proxy."""

    address: Address | None
    is_proxied: bool = False


class ClientAddressMiddleware:
    """ASGI middleware around everything else: puts the caller's address into the scope, and a trusted proxy's scheme."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network] = ()) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            origin = find_origin(_find_peer(scope), scope["headers"], self._trusted)
            scope.setdefault("state", {})[CLIENT_ADDRESS_KEY] = origin.address
            if origin.is_proxied and origin.address:
                scope["client"] = (str(origin.address), 0)
            scheme = _list_values(scope["headers"], FORWARDED_PROTO)[-1:]
            if origin.is_proxied and scheme and scheme[0].strip().lower() in SCHEMES:
                scope["scheme"] = scheme[0].strip().lower().decode()
        await self._app(scope, receive, send)


def get_caller_address(scope: Scope) -> Address | None:
    """Returns the address that a request comes from; None if it is unknown."""
    state = scope.get("state", {})
    return (
        state[CLIENT_ADDRESS_KEY]
        if CLIENT_ADDRESS_KEY in state
        else find_origin(_find_peer(scope), scope["headers"], ()).address
    )


def find_origin(peer: Address | None, headers: Headers, trusted: Sequence[Network]) -> ClientOrigin:
    """Returns where a request comes from. peer: the other end of its connection."""
    known = list(headers)
    forwarded = any(name.lower() in FORWARDING_HEADERS for name, _ in known)
    if peer is None or not _is_in(peer, trusted):
        return ClientOrigin(None if forwarded else peer)
    hops = _list_values(known, FORWARDED_FOR)
    if not hops or len(hops) > MAX_HOPS:
        return ClientOrigin(None if forwarded else peer, is_proxied=True)
    address: Address | None = peer
    for hop in reversed(hops):
        address = parse_address(hop.decode("latin-1"))
        if address is None or not _is_in(address, trusted):
            break
    return ClientOrigin(address, is_proxied=True)


def parse_address(text: str) -> Address | None:
    """Returns an address, which may have a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket shows an IPv4 client as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _find_peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return parse_address(client[0]) if client else None


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _list_values(headers: Headers, wanted: bytes) -> list[bytes]:
    """The values of a header that is a list, in their order."""
    return [part for name, value in headers if name.lower() == wanted for part in value.split(b",") if part.strip()]
