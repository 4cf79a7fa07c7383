"""The connections that are open, and how long each may take over what it does.

Law: a connection that has no request under way is never worth more than a new one: when there are too many, those that
have waited longest are closed, and who asks something goes on being answered. A client that is slow costs a place for a
bounded time only.
"""

import resource
from typing import Protocol

import structlog
from msgspec import Struct

from api.observability.metrics import Metrics

# Of the descriptors that this process may have: for executors' sockets, pictures to fetch, the database, the log.
RESERVED_DESCRIPTOR_SHARE = 0.25

log = structlog.get_logger()


class ConnectionLimits(Struct, frozen=True):
    """How much a connection may take.

    connections: how many may be open. read_header_timeout: seconds for the head of a request, once it has begun or the connection
    is new. write_timeout: seconds in which a client must take something of what it is sent.
    """

    max_connections: int
    read_header_timeout: float
    write_timeout: float


class TrackedConnection(Protocol):
    """What the edge knows of a connection."""

    def close_idle(self) -> None:
        """Close it: it has nothing under way."""
        ...

    def check_timeouts(self, now: float) -> None:
        """End it if it took too long."""
        ...


class ConnectionRegistry:
    """Mutable: the connections, and which of them wait for a request, longest first."""

    def __init__(self, limits: ConnectionLimits, metrics: Metrics) -> None:
        self.limits = limits
        self._metrics = metrics
        self._open: dict[TrackedConnection, None] = {}
        self._idle: dict[TrackedConnection, None] = {}

    def __repr__(self) -> str:
        return f"<Edge open={len(self._open)} waiting={len(self._idle)}>"

    def register(self, connection: TrackedConnection) -> bool:
        """Take in a new connection, if need be in the place of one that waits; False: all are busy."""
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
        self._metrics.adjust("http_connections", 1)
        return True

    def unregister(self, connection: TrackedConnection) -> None:
        """It is closed; a second call changes nothing."""
        if connection in self._open:
            self._metrics.adjust("http_connections", -1)
        self._open.pop(connection, None)
        self._idle.pop(connection, None)

    def mark_active(self, connection: TrackedConnection) -> None:
        """It has a request under way."""
        self._idle.pop(connection, None)

    def mark_idle(self, connection: TrackedConnection) -> None:
        """It may send another request."""
        if connection in self._open:
            self._idle[connection] = None

    def count_refusal(self, reason: str) -> None:
        """Count what was refused or ended here, before anything of ours has seen a request."""
        self._metrics.count("http_refused_connections_total", reason)
        log.debug("a connection was refused", reason=reason)

    def check_timeouts(self, now: float) -> None:
        """Look at every connection; to be called about once a second."""
        for connection in tuple(self._open):
            connection.check_timeouts(now)


def compute_max_connections(wanted: int) -> int:
    """How many connections this process can have, `wanted` at most: it asks for all the descriptors it may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY or most * (1 - RESERVED_DESCRIPTOR_SHARE) >= wanted:
        return wanted
    fits = max(1, int(most * (1 - RESERVED_DESCRIPTOR_SHARE)))
    log.warning("fewer connections than MAX_CONNECTIONS: raise the limit of open files", fits=fits, open_files=most)
    return fits
