"""Counts and times requests, by the template of their route.

Invariants: an unknown address counts as `unmatched`, so that invented addresses create no series.
"""

import time

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.core.dialect_names import find_dialect
from api.observability.metrics import OTHER, Metrics

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# The status of a client that disconnected before the response, as web servers log it.
CLIENT_CLOSED_REQUEST = 499


class HttpMetricsMiddleware:
    """ASGI middleware around the framework, which records the route in the scope."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started_at = time.monotonic()
        status = CLIENT_CLOSED_REQUEST

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.adjust("http_requests_in_progress", 1)
        try:
            await self._app(scope, receive, send_noting_status)
        finally:
            self._metrics.adjust("http_requests_in_progress", -1)
            self._record(
                scope["method"], str(scope.get("path_template") or UNMATCHED), status, time.monotonic() - started_at
            )

    def _record(self, method: str, route: str, status: int, seconds: float) -> None:
        dialect = find_dialect(route)
        counted = method if method in METHODS else OTHER
        self._metrics.count("http_requests_total", counted, route, dialect, str(status))
        self._metrics.observe("http_request_seconds", seconds, route, dialect)
