"""The lifetime of a connection: its deadlines, its last error, its close.

Invariants: a client that is too slow gets one error that says so, or none if its response has begun, and the connection
is closed. After the last response the connection reads on for a while, so that the client can read that response.
"""

import asyncio
import select
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.core.problems import Problem
from api.http.connections.early_responses import (
    HEAD_TIMED_OUT,
    TOO_MANY_CONNECTIONS,
    ErrorRenderer,
    render_early_response,
)
from api.http.connections.registry import ConnectionRegistry
from api.http.inflight_bodies import MAX_BODY_BYTES

# How long, and how many bytes of, an unwanted body are read so that its client reads the response (RFC 9112 §9.6): most
# clients read nothing before they have sent everything.
LINGER_TIMEOUT = 5.0
MAX_DISCARDED_BYTES = 4 * MAX_BODY_BYTES
# How long a request may be in transit when the server shuts down.
SHUTDOWN_GRACE = 0.2


class ConnectionLifetime(HttpToolsProtocol):
    """uvicorn's connection, with deadlines. Mutable: the deadline, how it closes, and how much is unsent."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        render_error: ErrorRenderer,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._registry = registry
        self._render_error = render_error
        self.url = b""
        self._in_head = True  # from the end of a request until the next one's headers are complete
        self._head_size = 0  # bytes of that head
        self._deadline: float | None = None
        self._reading_stopped = False
        self._shutting_down = False
        self._pending_problem: Problem | None = None  # sent after the responses in progress
        self._discarded_bytes = 0
        self._unsent_bytes = 0
        self._unsent_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's
        super().connection_made(transport)
        self._start_head_timer()
        if not self._registry.register(self):
            self._send_early_response(TOO_MANY_CONNECTIONS)
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.unregister(self)
        super().connection_lost(exc)

    def check_timeouts(self, now: float) -> None:
        """Close the connection if its time is over; the registry calls this about once a second."""
        if self._deadline is not None and now > self._deadline and not self.transport.is_closing():
            if self._in_head and self._head_size and not self._reading_stopped:
                self._registry.count_refusal("slow_head")
                self._send_early_response(HEAD_TIMED_OUT)
            else:
                self._close()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0:
            self._unsent_since = None
        elif self._unsent_since is None or unsent < self._unsent_bytes:
            self._unsent_since = now
        elif now - self._unsent_since > self._registry.limits.write_timeout:
            self._registry.count_refusal("slow_reader")
            self.transport.abort()
        self._unsent_bytes = unsent

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unsent_since = None

    def close_idle(self) -> None:
        """Close the connection, which has no request in progress."""
        self._close()

    def shutdown(self) -> None:
        """Close the connection after the request in progress, and after one that is already in transit."""
        self._shutting_down = True
        if self._is_responding:
            self.cycle.keep_alive = False
        self.loop.call_later(SHUTDOWN_GRACE, self._close_if_idle)

    @property
    def _is_responding(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _start_head_timer(self) -> None:
        self._deadline = self.loop.time() + self._registry.limits.read_header_timeout

    def _become_idle(self) -> None:
        self._discarded_bytes = 0
        self._deadline = None
        if self._head_size:
            self._start_head_timer()
        self._registry.mark_idle(self)

    def _count_discarded(self, size: int) -> None:
        """Count bytes that no application reads; close the connection when they are too many."""
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self._close()

    def _close_if_idle(self) -> None:
        if self._in_head and not self.pipeline and not self._is_responding:
            if self._has_unread_data():
                self.loop.call_later(SHUTDOWN_GRACE, self._close_if_idle)
            else:
                self._close()

    def _has_unread_data(self) -> bool:
        """Whether the kernel has received data that this process has not read."""
        if self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _send_early_response(self, problem: Problem) -> None:
        """Send the connection's last response. The caller checks that none is in progress."""
        if self.transport.is_closing():
            return
        headers_only = not self._in_head and self.scope["method"] == "HEAD"
        self.transport.write(
            render_early_response(problem, self.url.decode("latin-1"), self._render_error, headers_only=headers_only)
        )
        self._linger()

    def _linger(self) -> None:
        """Send nothing more and read for a while: an immediate close would make the client's kernel drop the response."""
        self._reading_stopped = True
        self._pending_problem = None
        self._deadline = self.loop.time() + LINGER_TIMEOUT
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _close(self) -> None:
        self._reading_stopped = True
        self._deadline = None
        self.transport.close()
