"""One request with its answer, as HTTP frames them: the rules that uvicorn leaves out.

Invariants: a response of unknown length to an HTTP/1.0 client is not chunked, and ends with the connection. A response to
HEAD ends with its headers. The connection of a client that waits for `100 Continue`, and gets its response instead, is
closed: it is unknown whether the client still sends its body (RFC 9110 §10.1.1).
"""

from collections.abc import Callable
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HTTP_1_0 = "1.0"


class Exchange:
    """An ASGI application around the one that answers. Mutable: how far the answer is.

    cycle: uvicorn's record of the request, whose framing is set here. before_end: is called before
    the end of the response is sent.
    """

    def __init__(
        self, app: ASGIApp, cycle: RequestResponseCycle, before_end: Callable[[RequestResponseCycle], None]
    ) -> None:
        self._app = app
        self._cycle = cycle
        self._before_end = before_end
        self._ends_with_connection = False
        self._headers_only = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._headers_only = scope.get("method") == "HEAD"

        async def framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(self._build_start(message, str(scope.get("http_version"))))
                if self._headers_only:
                    self._before_end(self._cycle)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not self._headers_only:
                if self._ends_with_connection:
                    self._cycle.expected_content_length = len(message.get("body", b""))
                if not message.get("more_body"):
                    self._before_end(self._cycle)
                await send(message)

        await self._app(scope, receive, framed)

    def _build_start(self, message: Any, version: str) -> Message:
        if self._cycle.waiting_for_100_continue:
            self._cycle.keep_alive = False
        # Whether the connection stays open is not for an application to say.
        headers = [
            (name, value)
            for name, value in message.get("headers", ())
            if (name.lower(), value.lower()) != (b"connection", b"keep-alive")
        ]
        if version == HTTP_1_0 and not any(name.lower() == b"content-length" for name, _ in headers):
            self._ends_with_connection = True
            self._cycle.chunked_encoding = False
        changed: Any = {**message, "headers": headers}
        return changed
