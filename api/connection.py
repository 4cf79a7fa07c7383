"""One connection of HTTP/1.1, bounded: uvicorn's own, with the limits that it lacks.

Law: what isn't HTTP, is ambiguous (RFC 9112 §3.2, §6.3), too large or too slow gets one error that says so, or none where
an answer has begun, and the connection is closed. Nothing is kept of a head beyond `LARGEST_HEAD`, nor of trailers.
"""

import asyncio
import re
import select
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from api.body import LARGEST
from api.edge import Edge
from api.last_answer import BAD, BAD_HOST, LARGE_HEAD, LARGEST_HEAD, MOST_HEADERS, SLOW_HEAD, TOO_MANY, Refusal, said
from api.problems import Problem

# How long, and how much of, a body is read that nobody wants, so that its client reads the answer (RFC 9112 §9.6): most
# clients read nothing before they have sent all.
LINGER = 5.0
MOST_UNWANTED = 4 * LARGEST
# How long a request may be on its way when the server ends.
ON_ITS_WAY = 0.2

# The parser drops the body of a request that offers another protocol, as Java's own client does with its first one; a
# server that takes no offer goes on with the request (RFC 9110 §7.8).
UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=[ \t]*:)", re.IGNORECASE)
HIDDEN = b"x-upgrade-offered"


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
        self._unwanted = 0
        self._unsent = 0
        self._unsent_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] # uvicorn's
        super().connection_made(transport)
        self._late = self.loop.time() + self._edge.limits.head_timeout
        if not self._edge.admit(self):
            self._refuse(TOO_MANY)
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._edge.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over:
            self._unwanted += len(data)
            if self._unwanted > MOST_UNWANTED:
                self._close()
            return
        if self._in_head:
            if not self._head:
                self._late = self.loop.time() + self._edge.limits.head_timeout
            self._head += len(data)
            data = hidden(data)
        elif self.cycle.response_complete:
            self._unwanted += len(data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEAD and not self._over:
            self._edge.refused("head_too_large")
            self._refuse(LARGE_HEAD)
        elif self._unwanted > MOST_UNWANTED:
            self._close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(b"upgrade" if name == HIDDEN else name, value)
        # Trailers are nothing that anybody reads here.

    def on_headers_complete(self) -> None:
        if problem := self._objection():
            self.app = Refusal(problem)  # the connection's last answer
        self._in_head = False
        self._late = None
        self._edge.busy(self)
        super().on_headers_complete()
        if self._last:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._head = 0
        if self.cycle.response_complete:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # another request came meanwhile, and is under way
        if self._over:
            self._close()
        elif self._in_head:
            self._wait()
        else:
            self._late = self.loop.time() + LINGER

    def _wait(self) -> None:
        self._unwanted = 0
        self._late = self.loop.time() + self._edge.limits.head_timeout if self._head else None
        self._edge.waits(self)

    def _objection(self) -> Problem | None:
        """What is wrong with a head that has come whole."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > LARGEST_HEAD or len(self.headers) > MOST_HEADERS:
            self._edge.refused("head_too_large")
            return LARGE_HEAD
        version = self.parser.get_http_version() if self.parser else ""
        hosts = [value for name, value in self.headers if name == b"host"]
        problem = None
        if version not in {"1.0", "1.1"}:
            problem = BAD
        elif len(hosts) > 1 or (not hosts and version == "1.1"):
            problem = BAD_HOST
        if problem:
            self._edge.refused("invalid_http")
        return problem

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 # uvicorn's sentence; ours is a dialect's
        """What came is no HTTP."""
        self._edge.refused("invalid_http")
        answering = bool(self.cycle) and not self.cycle.response_complete
        if answering and not self.cycle.more_body:
            # The request before it is whole, and gets its answer; then it ends.
            self.cycle.keep_alive = False
            self._over = True
        elif answering and self.cycle.response_started:
            self._over = True
            self.transport.abort()
        else:
            self._refuse(BAD)

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
        elif now - self._unsent_since > self._edge.limits.send_timeout:
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
        headers, body = said(problem, self.url.decode("latin-1"))
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + body)
        # Closed at once, what the client still sends would make its system forget the answer.
        self.transport.write_eof()
        self._over = True
        self._late = self.loop.time() + LINGER

    def _close(self) -> None:
        self._over = True
        self._late = None
        self.transport.close()


def hidden(data: bytes) -> bytes:
    """A head whose offer of another protocol the parser does not see."""
    head, end, rest = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(HIDDEN, head) + end + rest
