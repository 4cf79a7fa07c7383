"""One connection of HTTP/1.1, bounded: uvicorn's own, with the limits that it lacks.

Invariants: what isn't HTTP, is ambiguous (RFC 9112 §3.2, §6.3), too large or too slow gets one error that says so, or
none where its answer has begun, and the connection is closed. Answers come in the order of their requests, that error
too. The parser gets every byte as it came, and it alone says where a request ends: how the bytes are cut into segments
changes nothing. Nothing is kept of a head beyond `LARGEST_HEAD`, nor of trailers.
"""

import asyncio
import select
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.core.problems import Problem
from api.http.connection_registry import ConnectionRegistry
from api.http.early_responses import (
    HEAD_TIMED_OUT,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    MAX_HEAD_BYTES,
    TOO_MANY_CONNECTIONS,
    EarlyResponse,
    render_early_response,
)
from api.http.exchange import HTTP_1_0, Exchange
from api.http.request_body import MAX_BODY_BYTES
from api.http.request_head import RequestHead, find_problem

# How long, and how much of, a body is read that nobody wants, so that its client reads the answer (RFC 9112 §9.6): most
# clients read nothing before they have sent all.
LINGER_TIMEOUT = 5.0
MAX_DISCARDED_BYTES = 4 * MAX_BODY_BYTES
# How long a request may be on its way when the server ends.
SHUTDOWN_GRACE = 0.2


class Connection(HttpToolsProtocol):
    """Mutable: what has come of a head, what is late when, and what was sent."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._registry = registry
        self.url = b""
        self._in_head = True  # since the last request ended, until the next one's headers are complete
        self._head_size = 0  # bytes of it
        self._deadline: float | None = None
        self._reading_stopped = False
        self._shutting_down = False
        self._pending_problem: Problem | None = None  # what follows the answers that are under way
        self._linger_after_request = False  # it is closed once its last request has come
        self._discarded_bytes = 0
        self._unsent_bytes = 0
        self._unsent_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's
        super().connection_made(transport)
        self._deadline = self.loop.time() + self._registry.limits.read_header_timeout
        if not self._registry.register(self):
            self._send_early_response(TOO_MANY_CONNECTIONS)
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.unregister(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reading_stopped:
            self._count_discarded(len(data))
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._set_head_deadline()
        elif self.cycle.response_complete:
            self._count_discarded(len(data))
        try:
            self._feed_parser(memoryview(data))
        except HttpParserError as error:
            self.send_400_response(str(error))

    def _set_head_deadline(self) -> None:
        """Set the time for a head that begins; while an answer is under way, that time begins with its end."""
        if not self._head_size and not self._is_answering:
            self._deadline = self.loop.time() + self._registry.limits.read_header_timeout

    def _count_discarded(self, size: int) -> None:
        """Count what nobody reads."""
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            self._close()

    def _feed_parser(self, rest: memoryview) -> None:
        """Give the parser what came, in pieces so that a head's length is known. Raises HttpParserError."""
        while rest and not self._reading_stopped:
            piece = rest[: MAX_HEAD_BYTES - self._head_size] if self._in_head else rest[:MAX_HEAD_BYTES]
            if self._in_head:
                self._head_size += len(piece)
            try:
                self.parser.feed_data(piece)
            except HttpParserUpgrade as offer:
                self._decline_upgrade()
                piece = rest[: offer.args[0]]
            rest = rest[len(piece) :]
            if self._in_head and self._head_size >= MAX_HEAD_BYTES:
                self._registry.count_refusal("head_too_large")
                self._fail(HEAD_TOO_LARGE)

    def _decline_upgrade(self) -> None:
        """Go on with a request that offers another protocol (RFC 9110 §7.8), such as the first one of Java's client.

        The parser stops after such a head, and would take a body for the other protocol. A new parser reads the same
        head, as it was parsed, without the offer; what came after it reaches that parser as it came.
        """
        version, method = self.parser.get_http_version(), self.parser.get_method()
        headers = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version.encode(), headers)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # It may begin in the segment in which the one before it ends.
        self._set_head_deadline()
        self._head_size = self._head_size or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value.rstrip(b" \t"))
        # Trailers are nothing that anybody reads here.

    def on_headers_complete(self) -> None:
        head = RequestHead(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        if self.parser.should_upgrade():
            if head.method == b"CONNECT":
                raise HttpParserError("no proxy")
            return  # it comes again, without the offer
        if problem := find_problem(head):
            self._registry.count_refusal("head_too_large" if problem is HEAD_TOO_LARGE else "invalid_http")
            self.app = EarlyResponse(problem)  # the connection's last answer
        self.url = head.origin_form
        self.expect_100_continue = self.expect_100_continue and head.version != HTTP_1_0
        super().on_headers_complete()
        self._in_head = False
        self._deadline = None
        self._registry.mark_active(self)
        if self._shutting_down:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        exchange: Any = Exchange(app, cycle, self._keep_open_for_body)
        super()._start_asgi_task(cycle, exchange)

    def _keep_open_for_body(self, cycle: RequestResponseCycle) -> None:
        """Keep open what the end of an answer would close, while its request is still coming, but for the server's end."""
        if not cycle.keep_alive and cycle is self.cycle and not self._in_head and not self._shutting_down:
            cycle.keep_alive = True
            self._linger_after_request = True

    def on_body(self, body: bytes) -> None:
        self.cycle.waiting_for_100_continue = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self.cycle.waiting_for_100_continue = False
        super().on_message_complete()
        self._in_head = True
        self._head_size = 0
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False  # a trailer may have said so
        if self.cycle.response_complete:
            if self.cycle.keep_alive:
                self._become_idle()
            else:
                self._close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # another request came meanwhile, and is under way
        if self._linger_after_request:
            self._linger()
        elif self._pending_problem:
            self._send_early_response(self._pending_problem)
        elif self._reading_stopped:
            self._close()
        elif self._in_head:
            self._become_idle()
        else:
            self._deadline = self.loop.time() + LINGER_TIMEOUT

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _become_idle(self) -> None:
        self._discarded_bytes = 0
        self._deadline = self.loop.time() + self._registry.limits.read_header_timeout if self._head_size else None
        self._registry.mark_idle(self)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn's sentence; ours is a dialect's
        """What came is no HTTP."""
        self._registry.count_refusal("invalid_http")
        self._fail(MALFORMED_REQUEST)

    def _fail(self, problem: Problem) -> None:
        """Read nothing more. The request that failed gets `problem`, after the answers to those before it."""
        self._reading_stopped = True
        if self._in_head:
            if self._is_answering:
                self._pending_problem = problem
            else:
                self._send_early_response(problem)
        elif self.pipeline:
            self.pipeline[0] = (self.cycle, EarlyResponse(problem))  # pyright: ignore[reportArgumentType] # ASGI's types differ in name only
        elif self.cycle.response_complete:
            self._linger()
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._send_early_response(problem)

    def check_timeouts(self, now: float) -> None:
        """End what took too long; about once a second."""
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
        """Close it: it has nothing under way."""
        self._close()

    def shutdown(self) -> None:
        """The server ends: what is under way is the connection's last, and so is what is on its way already."""
        self._shutting_down = True
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(SHUTDOWN_GRACE, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._in_head and not self.pipeline and (not self.cycle or self.cycle.response_complete):
            if self._has_unread_data():
                self.loop.call_later(SHUTDOWN_GRACE, self._close_if_idle)
            else:
                self._close()

    def _has_unread_data(self) -> bool:
        """Whether the kernel has something for us that we have not seen."""
        if self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _send_early_response(self, problem: Problem) -> None:
        """The connection's last answer, if nobody is being answered."""
        if self.transport.is_closing():
            return
        headers, body = render_early_response(problem, self.url.decode("latin-1"))
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        if not self._in_head and self.scope["method"] == "HEAD":
            body = b""
        self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + body)
        self._linger()

    def _linger(self) -> None:
        """Send nothing more, and read for a while: closed at once, the client's system would forget the answer."""
        self._reading_stopped = True
        self._pending_problem = None
        self._deadline = self.loop.time() + LINGER_TIMEOUT
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _close(self) -> None:
        self._reading_stopped = True
        self._deadline = None
        self.transport.close()
