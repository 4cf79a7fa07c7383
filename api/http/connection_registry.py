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
SPARE = 0.25

log = structlog.get_logger()


class Limits(Struct, frozen=True):
    """How much a connection may take.

    connections: how many may be open. read_header_timeout: seconds for the head of a request, once it has begun or the connection
    is new. write_timeout: seconds in which a client must take something of what it is sent.
    """

    connections: int
    read_header_timeout: float
    write_timeout: float


class Connected(Protocol):
    """What the edge knows of a connection."""

    def leave(self) -> None:
        """Close it: it has nothing under way."""
        ...

    def look(self, now: float) -> None:
        """End it if it took too long."""
        ...


class Edge:
    """Mutable: the connections, and which of them wait for a request, longest first."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self._metrics = metrics
        self._open: dict[Connected, None] = {}
        self._waiting: dict[Connected, None] = {}

    def __repr__(self) -> str:
        return f"<Edge open={len(self._open)} waiting={len(self._waiting)}>"

    def admit(self, connection: Connected) -> bool:
        """Take in a new connection, if need be in the place of one that waits; False: all are busy."""
        if len(self._open) >= self.limits.connections:
            idlest = next(iter(self._waiting), None)
            if idlest is None:
                self.refused("too_many")
                return False
            self.gone(idlest)
            idlest.leave()
            self.refused("shed")
        self._open[connection] = None
        self._waiting[connection] = None
        self._metrics.shift("http_connections", 1)
        return True

    def gone(self, connection: Connected) -> None:
        """It is closed; a second call changes nothing."""
        if connection in self._open:
            self._metrics.shift("http_connections", -1)
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)

    def busy(self, connection: Connected) -> None:
        """It has a request under way."""
        self._waiting.pop(connection, None)

    def waits(self, connection: Connected) -> None:
        """It may send another request."""
        if connection in self._open:
            self._waiting[connection] = None

    def refused(self, reason: str) -> None:
        """Count what was refused or ended here, before anything of ours has seen a request."""
        self._metrics.count("http_refused_connections_total", reason)
        log.debug("a connection was refused", reason=reason)

    def sweep(self, now: float) -> None:
        """Look at every connection; to be called about once a second."""
        for connection in tuple(self._open):
            connection.look(now)


def affordable(wanted: int) -> int:
    """How many connections this process can have, `wanted` at most: it asks for all the descriptors it may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY or most * (1 - SPARE) >= wanted:
        return wanted
    fits = max(1, int(most * (1 - SPARE)))
    log.warning("fewer connections than MAX_CONNECTIONS: raise the limit of open files", fits=fits, open_files=most)
    return fits
