"""Checks the Host header against DNS rebinding: a web page must not reach this server by its own domain name. Pure.

Invariants: a name that others could point at this server (one with a dot that is neither HOST nor allowed) is refused;
nobody can redirect an address or a name without a dot. (https://en.wikipedia.org/wiki/DNS_rebinding)
"""

from urllib.parse import urlsplit

from msgspec import Struct

from api.auth.middleware import unknown_host_problem
from api.core.problems import Problem
from api.http.client_address import parse_address

# Multicast DNS (RFC 6762 §3).
MDNS_SUFFIX = ".local"


class HostPolicy(Struct, frozen=True):
    """names: the allowed names; `*` is any. origins: pages that may call, besides those of the same names."""

    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def check(self, host: str, origin: str) -> None:
        """Raises Problem for a host or an origin that is not allowed; only browsers send an origin."""
        if not self.is_known(host):
            raise unknown_host_problem()
        if origin and origin not in self.origins and "*" not in self.origins and not self._is_own_origin(origin):
            raise Problem(
                403,
                "origin_not_allowed",
                "Pages of this origin may not call this server. Its owner can allow them with ENABLE_CORS and CORS_ORIGINS.",
            )

    def is_known(self, host: str) -> bool:
        """Whether a Host header names this server."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if not name:
            return False
        is_allowed = "*" in self.names or name in self.names or name.endswith(".localhost")
        return is_allowed or "." not in name or parse_address(name) is not None

    def is_known_or_local(self, host: str) -> bool:
        """Whether a Host header names this server, or a machine of the local network, whose names no public DNS has."""
        return self.is_known(host) or self.is_known(
            host.partition(":")[0].lower().rstrip(".").removesuffix(MDNS_SUFFIX)
        )

    def _is_own_origin(self, origin: str) -> bool:
        scheme, _, host = origin.partition("://")
        return scheme in {"http", "https"} and "*" not in self.names and self.is_known(host)
