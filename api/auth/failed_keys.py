"""Wrong keys, by the address that they come from: told in the log, and refused with 429 when there are many.

Law: only requests without a valid key are counted and slowed: behind a proxy many clients share an address. No key, and
no part of one, is kept or logged. The memory is bounded: the address that failed longest ago is forgotten first.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import structlog

from api.core.problems import Problem

# Of one address, in a minute.
MOST = 120
WINDOW = 60.0
MOST_ADDRESSES = 10_000
# Of a minute's failures of one address, those that have a line of their own in the log.
LOGGED = 5
NETWORK = 64

log = structlog.get_logger()


class FailedKeys:
    """Mutable: how often each address failed in its minute, and since when."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def failed(self, client: str) -> Problem | None:
        """Count a wrong key; the refusal if there were too many. client: the address."""
        now, place = self._clock(), network_of(client)
        since, count = self._counts.pop(place, (now, 0))
        if now - since >= WINDOW:
            since, count = now, 0
        self._counts[place] = since, count + 1
        if len(self._counts) > MOST_ADDRESSES:
            self._counts.popitem(last=False)
        if count < LOGGED:
            log.warning("a wrong key", address=client)
        elif count == self._most:
            log.warning("many wrong keys: more are refused with 429", address=client, limit=self._most)
        return too_many(since + WINDOW - now) if count >= self._most else None


def network_of(client: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 one, which a host has for itself."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), NETWORK), strict=False))
    return str(address)


def too_many(wait: float) -> Problem:
    """Too many wrong keys."""
    message = "Too many requests with a wrong key came from this address. Send the right key, or try again later."
    return Problem(429, "too_many_wrong_keys", message, retry_after=wait)
