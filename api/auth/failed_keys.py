"""Counts wrong keys by address, logs them, and refuses an address with 429 when there are many.

Invariants: only requests without a valid key are counted and refused, since clients behind a proxy share an address. No
key, and no part of one, is stored or logged. Memory is bounded: the address that failed longest ago is dropped first.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import structlog

from api.core.problems import Problem
from api.http.client_address import parse_address

# For each address and minute.
MAX_FAILURES = 120
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 10_000
# How many failures of an address are logged in a minute.
MAX_LOGGED_FAILURES = 5
IPV6_PREFIX_LENGTH = 64

log = structlog.get_logger()


class FailedKeys:
    """Mutable: how often each address failed in its minute, and since when."""

    def __init__(self, max_failures: int = MAX_FAILURES, clock: Callable[[], float] = monotonic) -> None:
        self._max_failures = max_failures
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def record_failure(self, client: str) -> Problem | None:
        """Counts a wrong key; returns an error if there were too many. client: the address."""
        now, network = self._clock(), to_network(client)
        since, count = self._counts.pop(network, (now, 0))
        if now - since >= WINDOW_SECONDS:
            since, count = now, 0
        self._counts[network] = since, count + 1
        if len(self._counts) > MAX_ADDRESSES:
            self._counts.popitem(last=False)
        if count < MAX_LOGGED_FAILURES:
            log.warning("a wrong key", address=client)
        elif count == self._max_failures:
            log.warning("many wrong keys: more are refused with 429", address=client, limit=self._max_failures)
        return wrong_keys_problem(since + WINDOW_SECONDS - now) if count >= self._max_failures else None


def to_network(client: str) -> str:
    """Returns an IPv4 address, or the network of an IPv6 one, since one host has a whole network."""
    address = parse_address(client)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), IPV6_PREFIX_LENGTH), strict=False))
    return client if address is None else str(address)


def wrong_keys_problem(wait: float) -> Problem:
    """Returns the error for too many wrong keys."""
    message = "Too many requests with a wrong key came from this address. Send the right key, or try again later."
    return Problem(429, "too_many_wrong_keys", message, retry_after=wait)
