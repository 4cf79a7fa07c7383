"""Gives every request an id, a log line, and the headers for its id and its time.

Invariants: a valid id of the caller (1 to 128 letters, digits, `-`, `_`, `.`) is used, so that logs can be joined.
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
        started_at = time.perf_counter()
        # HEAD gets the response of GET; the server leaves out the body (RFC 9110 §9.3.2).
        inner: Scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # pyright: ignore[reportAssignmentType]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                elapsed_ms = round((time.perf_counter() - started_at) * 1000)
                extra = [
                    (b"x-request-id", request_id.encode()),
                    (b"request-id", request_id.encode()),
                    (b"openai-processing-ms", str(elapsed_ms).encode()),
                ]
                message = {**message, "headers": [*add_no_store(message["headers"]), *extra]}
            await send(message)

        try:
            await self._app(inner, receive, send_with_id)
        finally:
            elapsed_ms = round((time.perf_counter() - started_at) * 1000)
            # Monitoring asks for health often.
            write = log.debug if scope["path"].startswith("/health") else log.info
            write("request", method=scope["method"], path=scope["path"], status=status, ms=elapsed_ms)
            structlog.contextvars.unbind_contextvars("request_id", "trace_id")


def add_no_store(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Returns the headers with `no-store`, so that no proxy stores a response, which is meant for the caller alone.

    Other cache directives stay. A response marked `public` may be stored.
    """
    directives = [value for name, value in headers if name.lower() == b"cache-control"]
    if any(b"public" in value or b"no-store" in value for value in directives):
        return list(headers)
    others = [(name, value) for name, value in headers if name.lower() != b"cache-control"]
    return [*others, (b"cache-control", b", ".join([*directives, b"no-store"]))]


def choose_request_id(requested: bytes | None) -> str:
    """Returns the caller's id if it is valid, else a new one."""
    if requested and VALID_REQUEST_ID.fullmatch(requested):
        return requested.decode("ascii")
    return f"req_{uuid.uuid4().hex}"
