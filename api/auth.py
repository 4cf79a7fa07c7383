"""Who asks: the bearer token, compared in constant time.

Law: everything needs a key but what is marked `public`, and what is marked `by_address` when a neighbour asks; a missing
key and a wrong one get the same answer in the same time. (RFC 6750)
"""

import hashlib
import hmac
import ipaddress

from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem

PUBLIC = "public"
HAS_KEY = "has_key"
# Which scope of a key a route needs.
SCOPE = "scope"
# Machines of METRICS_ALLOW need no key for this route.
BY_ADDRESS = "by_address"

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RequireKey:
    """ASGI middleware in front of every route."""

    def __init__(self, app: ASGIApp, token: str, neighbours: tuple[Network, ...] = ()) -> None:
        self._app = app
        self._neighbours = neighbours
        self._digest = _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        known = self._known(Headers.from_scope(scope))
        scope["state"][HAS_KEY] = known
        waived = handler.opt.get(PUBLIC) or (handler.opt.get(BY_ADDRESS) and self._neighbour(scope))
        if not known and not waived:
            raise Problem(
                401,
                "invalid_api_key",
                "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`; its owner finds it in "
                "API_SECRET_TOKEN or in the file that the server named when it first started.",
            )
        await self._app(scope, receive, send)

    def _neighbour(self, scope: Scope) -> bool:
        address = _address(scope)
        return address is not None and any(address in network for network in self._neighbours)

    def _known(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return hmac.compare_digest(_digest(given), self._digest)


def _address(scope: Scope) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    client = scope.get("client")
    try:
        found = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return None
    # A socket that takes both kinds shows an IPv4 client as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
