"""The registry of open connections, which limits their number and their time.

Invariants: an idle connection never keeps out a new one: at the limit, the longest idle one is closed, and connections
with a request in progress stay. A slow client occupies a connection for a bounded time.
"""

import resource
from collections.abc import Callable
from typing import Protocol

import structlog
from msgspec import Struct

# The share of this process's file descriptors for executors' sockets, image fetching, the database and the log.
RESERVED_DESCRIPTOR_SHARE = 0.25

log = structlog.get_logger()


class ConnectionLimits(Struct, frozen=True):
    """The limits of connections.

    max_connections: how many may be open. read_header_timeout: seconds for the head of a request, from its first byte
    or from the start of the connection. write_timeout: seconds in which a client must accept some of its response.
    """

    max_connections: int
    read_header_timeout: float
    write_timeout: float


class TrackedConnection(Protocol):
    """A connection as the registry sees it."""

    def close_idle(self) -> None:
        """Close the connection, which has no request in progress."""
        ...

    def check_timeouts(self, now: float) -> None:
        """Close the connection if its time is over."""
        ...


class ConnectionRegistry:
    """Mutable: the open connections, and the idle ones among them, longest idle first.

    add_to_count: is called with the change of the number of open connections. record_refusal: is called with the reason
    of each refusal.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        add_to_count: Callable[[int], None] = lambda _change: None,
        record_refusal: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self.limits = limits
        self._add_to_count = add_to_count
        self._record_refusal = record_refusal
        self._open: dict[TrackedConnection, None] = {}
        self._idle: dict[TrackedConnection, None] = {}

    def __repr__(self) -> str:
        return f"<ConnectionRegistry open={len(self._open)} idle={len(self._idle)}>"

    def register(self, connection: TrackedConnection) -> bool:
        """Add a new connection; at the limit, close the longest idle one. Returns False if all are busy."""
        if len(self._open) >= self.limits.max_connections:
            idlest = next(iter(self._idle), None)
            if idlest is None:
                self.count_refusal("too_many")
                return False
            self.unregister(idlest)
            idlest.close_idle()
            self.count_refusal("shed")
        self._open[connection] = None
        self._idle[connection] = None
        self._add_to_count(1)
        return True

    def unregister(self, connection: TrackedConnection) -> None:
        """Remove a closed connection. A second call changes nothing."""
        if connection in self._open:
            self._add_to_count(-1)
        self._open.pop(connection, None)
        self._idle.pop(connection, None)

    def mark_active(self, connection: TrackedConnection) -> None:
        """Record that the connection has a request in progress."""
        self._idle.pop(connection, None)

    def mark_idle(self, connection: TrackedConnection) -> None:
        """Record that the connection waits for its next request."""
        if connection in self._open:
            self._idle[connection] = None

    def count_refusal(self, reason: str) -> None:
        """Count a connection or request that was refused before the application saw it."""
        self._record_refusal(reason)
        log.debug("a connection was refused", reason=reason)

    def check_timeouts(self, now: float) -> None:
        """Check every connection; the server calls this about once a second."""
        for connection in tuple(self._open):
            connection.check_timeouts(now)


def compute_max_connections(wanted: int) -> int:
    """Raises this process's limit of open files; returns how many connections fit, `wanted` at most."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY or most * (1 - RESERVED_DESCRIPTOR_SHARE) >= wanted:
        return wanted
    fits = max(1, int(most * (1 - RESERVED_DESCRIPTOR_SHARE)))
    log.warning("fewer connections than MAX_CONNECTIONS: raise the limit of open files", fits=fits, open_files=most)
    return fits
