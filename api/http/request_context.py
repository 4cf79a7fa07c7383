"""What every request gets, whoever answers it: an id, a line in the log, and headers that tell both.

Law: a caller's own id is kept when it is sane (1 to 128 of letters, digits, `-`, `_`, `.`), so that logs can be joined.
"""

import re
import time
import uuid
from collections.abc import Iterable

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.core.request_state import REQUEST_ID_KEY

VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger()


class RequestContextMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = choose_request_id(dict(scope["headers"]).get(b"x-request-id"))
        scope.setdefault("state", {})[REQUEST_ID_KEY] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        # What GET answers, HEAD answers without the body, which the server leaves out by itself (RFC 9110 §9.3.2).
        inner: Scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # pyright: ignore[reportAssignmentType]
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                spent = round((time.perf_counter() - began) * 1000)
                extra = [
                    (b"x-request-id", request_id.encode()),
                    (b"request-id", request_id.encode()),
                    (b"openai-processing-ms", str(spent).encode()),
                ]
                message = {**message, "headers": [*add_no_store(message["headers"]), *extra]}
            await send(message)

        try:
            await self._app(inner, receive, tagged)
        finally:
            spent = round((time.perf_counter() - began) * 1000)
            # Who watches health asks often: that is nothing to tell.
            say = log.debug if scope["path"].startswith("/health") else log.info
            say("request", method=scope["method"], path=scope["path"], status=status, ms=spent)
            structlog.contextvars.unbind_contextvars("request_id", "trace_id")


def add_no_store(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers, with which nothing on the way keeps a response: it holds what a caller said, or is only the caller's.

    What an answer says itself of caches stays, beside `no-store`; only what may be kept by everyone says `public`.
    """
    given = [value for name, value in headers if name.lower() == b"cache-control"]
    if any(b"public" in value or b"no-store" in value for value in given):
        return list(headers)
    others = [(name, value) for name, value in headers if name.lower() != b"cache-control"]
    return [*others, (b"cache-control", b", ".join([*given, b"no-store"]))]


def choose_request_id(given: bytes | None) -> str:
    """The caller's id, or a new one."""
    if given and VALID_REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"req_{uuid.uuid4().hex}"
