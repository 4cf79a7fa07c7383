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
from api.http.connection_registry import Edge
from api.http.early_responses import BAD, LARGE_HEAD, LARGEST_HEAD, SLOW_HEAD, TOO_MANY, Refusal, said
from api.http.exchange import OLD, Exchange
from api.http.request_body import LARGEST
from api.http.request_head import RequestHead, find_problem

# How long, and how much of, a body is read that nobody wants, so that its client reads the answer (RFC 9112 §9.6): most
# clients read nothing before they have sent all.
LINGER = 5.0
MOST_UNWANTED = 4 * LARGEST
# How long a request may be on its way when the server ends.
ON_ITS_WAY = 0.2


class Connection(HttpToolsProtocol):
    """Mutable: what has come of a head, what is late when, and what was sent."""

    def __init__(
        self,
        edge: Edge,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._edge = edge
        self.url = b""
        self._in_head = True  # since the last request ended, until the next one's headers are complete
        self._head = 0  # bytes of it
        self._late: float | None = None
        self._over = False
        self._last = False
        self._refusal: Problem | None = None  # what follows the answers that are under way
        self._lingers = False  # it is closed once its last request has come
        self._unwanted = 0
        self._unsent = 0
        self._unsent_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's
        super().connection_made(transport)
        self._late = self.loop.time() + self._edge.limits.read_header_timeout
        if not self._edge.admit(self):
            self._refuse(TOO_MANY)
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._await_head()
        elif self.cycle.response_complete:
            self._discard(len(data))
        try:
            self._feed(memoryview(data))
        except HttpParserError as error:
            self.send_400_response(str(error))

    def _await_head(self) -> None:
        """Set the time for a head that begins; while an answer is under way, that time begins with its end."""
        if not self._head and not self._answering:
            self._late = self.loop.time() + self._edge.limits.read_header_timeout

    def _discard(self, size: int) -> None:
        """Count what nobody reads."""
        self._unwanted += size
        if self._unwanted > MOST_UNWANTED:
            self._close()

    def _feed(self, rest: memoryview) -> None:
        """Give the parser what came, in pieces so that a head's length is known. Raises HttpParserError."""
        while rest and not self._over:
            piece = rest[: LARGEST_HEAD - self._head] if self._in_head else rest[:LARGEST_HEAD]
            if self._in_head:
                self._head += len(piece)
            try:
                self.parser.feed_data(piece)
            except HttpParserUpgrade as offer:
                self._decline_upgrade()
                piece = rest[: offer.args[0]]
            rest = rest[len(piece) :]
            if self._in_head and self._head >= LARGEST_HEAD:
                self._edge.refused("head_too_large")
                self._fail(LARGE_HEAD)

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
        self._await_head()
        self._head = self._head or 1

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
            self._edge.refused("head_too_large" if problem is LARGE_HEAD else "invalid_http")
            self.app = Refusal(problem)  # the connection's last answer
        self.url = head.origin_form
        self.expect_100_continue = self.expect_100_continue and head.version != OLD
        super().on_headers_complete()
        self._in_head = False
        self._late = None
        self._edge.busy(self)
        if self._last:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        exchange: Any = Exchange(app, cycle, self._before_end)
        super()._start_asgi_task(cycle, exchange)

    def _before_end(self, cycle: RequestResponseCycle) -> None:
        """Keep open what the end of an answer would close, while its request is still coming, but for the server's end."""
        if not cycle.keep_alive and cycle is self.cycle and not self._in_head and not self._last:
            cycle.keep_alive = True
            self._lingers = True

    def on_body(self, body: bytes) -> None:
        self.cycle.waiting_for_100_continue = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self.cycle.waiting_for_100_continue = False
        super().on_message_complete()
        self._in_head = True
        self._head = 0
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False  # a trailer may have said so
        if self.cycle.response_complete:
            if self.cycle.keep_alive:
                self._wait()
            else:
                self._close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # another request came meanwhile, and is under way
        if self._lingers:
            self._linger()
        elif self._refusal:
            self._refuse(self._refusal)
        elif self._over:
            self._close()
        elif self._in_head:
            self._wait()
        else:
            self._late = self.loop.time() + LINGER

    @property
    def _answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _wait(self) -> None:
        self._unwanted = 0
        self._late = self.loop.time() + self._edge.limits.read_header_timeout if self._head else None
        self._edge.waits(self)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn's sentence; ours is a dialect's
        """What came is no HTTP."""
        self._edge.refused("invalid_http")
        self._fail(BAD)

    def _fail(self, problem: Problem) -> None:
        """Read nothing more. The request that failed gets `problem`, after the answers to those before it."""
        self._over = True
        if self._in_head:
            if self._answering:
                self._refusal = problem
            else:
                self._refuse(problem)
        elif self.pipeline:
            self.pipeline[0] = (self.cycle, Refusal(problem))  # pyright: ignore[reportArgumentType] # ASGI's types differ in name only
        elif self.cycle.response_complete:
            self._linger()
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._refuse(problem)

    def look(self, now: float) -> None:
        """End what took too long; about once a second."""
        if self._late is not None and now > self._late and not self.transport.is_closing():
            if self._in_head and self._head and not self._over:
                self._edge.refused("slow_head")
                self._refuse(SLOW_HEAD)
            else:
                self._close()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0:
            self._unsent_since = None
        elif self._unsent_since is None or unsent < self._unsent:
            self._unsent_since = now
        elif now - self._unsent_since > self._edge.limits.write_timeout:
            self._edge.refused("slow_reader")
            self.transport.abort()
        self._unsent = unsent

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unsent_since = None

    def leave(self) -> None:
        """Close it: it has nothing under way."""
        self._close()

    def shutdown(self) -> None:
        """The server ends: what is under way is the connection's last, and so is what is on its way already."""
        self._last = True
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        self.loop.call_later(ON_ITS_WAY, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self._in_head and not self.pipeline and (not self.cycle or self.cycle.response_complete):
            if self._unread():
                self.loop.call_later(ON_ITS_WAY, self._close_if_idle)
            else:
                self._close()

    def _unread(self) -> bool:
        """Whether the kernel has something for us that we have not seen."""
        if self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _refuse(self, problem: Problem) -> None:
        """The connection's last answer, if nobody is being answered."""
        if self.transport.is_closing():
            return
        headers, body = said(problem, self.url.decode("latin-1"))
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        if not self._in_head and self.scope["method"] == "HEAD":
            body = b""
        self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + body)
        self._linger()

    def _linger(self) -> None:
        """Send nothing more, and read for a while: closed at once, the client's system would forget the answer."""
        self._over = True
        self._refusal = None
        self._late = self.loop.time() + LINGER
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _close(self) -> None:
        self._over = True
        self._late = None
        self.transport.close()
