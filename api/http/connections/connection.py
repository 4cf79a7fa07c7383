"""One HTTP/1.1 connection: uvicorn's protocol, with strict and bounded reading of requests.

Invariants: a request that is malformed, ambiguous (RFC 9112 §3.2, §6.3) or too large gets one error that says so, or
none if its response has begun, and the connection is closed. Responses, and that error, come in the order of their
requests. The parser gets every byte as it was received, and it alone decides where a request ends: the segmentation of
the bytes changes nothing. No more than `MAX_HEAD_BYTES` of a head are stored, and no trailers.
"""

from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.core.problems import Problem
from api.http.connections.early_responses import HEAD_TOO_LARGE, MALFORMED_REQUEST, MAX_HEAD_BYTES, EarlyResponse
from api.http.connections.exchange import HTTP_1_0, Exchange
from api.http.connections.lifetime import LINGER_TIMEOUT, ConnectionLifetime
from api.http.connections.request_head import RequestHead, find_problem


class Connection(ConnectionLifetime):
    """Mutable: how much of a head was received, and whether the connection closes after its request."""

    _linger_after_request = False

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
        """Start the timer of a new head; during a response, the timer starts when that response ends."""
        if not self._head_size and not self._is_responding:
            self._start_head_timer()

    def _feed_parser(self, rest: memoryview) -> None:
        """Give the parser the received bytes, in pieces that keep a head's length known. Raises HttpParserError."""
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
        """Continue a request that offers another protocol (RFC 9110 §7.8), such as the first one of Java's client.

        The parser stops after such a head, and would treat a body as the other protocol. A new parser reads the same
        head, as it was parsed, without the offer, and then the unchanged bytes after it.
        """
        version, method = self.parser.get_http_version(), self.parser.get_method()
        headers = b"".join(b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version.encode(), headers)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # A request may begin in the segment in which the previous one ends.
        self._set_head_deadline()
        self._head_size = self._head_size or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # the others are trailers, which no application reads
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        head = RequestHead(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        if self.parser.should_upgrade():
            if head.method == b"CONNECT":
                raise HttpParserError("this server is not a proxy")
            return  # the new parser reads it again, without the offer
        if problem := find_problem(head):
            self._registry.count_refusal("head_too_large" if problem is HEAD_TOO_LARGE else "invalid_http")
            self.app = EarlyResponse(problem, self._render_error)  # the connection's last response
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
        """Keep a closing connection open until its request was received completely, unless the server shuts down."""
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
            self.cycle.keep_alive = False  # a trailer may have changed it
        if self.cycle.response_complete:
            if self.cycle.keep_alive:
                self._become_idle()
            else:
                self._close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # another request is in progress by now
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

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn's text, which is not in a dialect
        """Refuse a malformed request."""
        self._registry.count_refusal("invalid_http")
        self._fail(MALFORMED_REQUEST)

    def _fail(self, problem: Problem) -> None:
        """Stop reading. The faulty request gets `problem`, after the responses to the requests before it."""
        self._reading_stopped = True
        if self._in_head:
            if self._is_responding:
                self._pending_problem = problem
            else:
                self._send_early_response(problem)
        elif self.pipeline:
            response = EarlyResponse(problem, self._render_error)
            self.pipeline[0] = (self.cycle, response)  # pyright: ignore[reportArgumentType] # ASGI's types differ in name only
        elif self.cycle.response_complete:
            self._linger()
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._send_early_response(problem)
