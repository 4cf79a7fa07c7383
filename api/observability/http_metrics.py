"""Requests counted and timed, by the template of their route.

Law: an address that is no route counts as `unmatched`, so that nobody can make series by asking for made-up addresses.
"""

import time

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.core.dialect_names import find_dialect
from api.observability.metrics import OTHER, Metrics

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# What a client that hung up before an answer "got", as web servers write it.
CLIENT_CLOSED_REQUEST = 499


class HttpMetricsMiddleware:
    """ASGI middleware around the framework, which says in the scope which route it took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.monotonic()
        status = CLIENT_CLOSED_REQUEST

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.adjust("http_requests_in_progress", 1)
        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.adjust("http_requests_in_progress", -1)
            self._record(
                scope["method"], str(scope.get("path_template") or UNMATCHED), status, time.monotonic() - began
            )

    def _record(self, method: str, route: str, status: int, spent: float) -> None:
        dialect = find_dialect(route)
        counted = method if method in METHODS else OTHER
        self._metrics.count("http_requests_total", counted, route, dialect, str(status))
        self._metrics.get_histogram("http_request_seconds", route, dialect).observe(spent)
