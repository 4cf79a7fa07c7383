"""Starts a span for each request, as a child of the caller's if it sent a `traceparent`, and logs the trace's id.

Invariants: requests of monitoring (health, metrics) start no trace.
"""

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.core.request_state import REQUEST_ID_KEY, TRACEPARENT, TRACESTATE
from shared.tracing import Span, Tracing, parse_trace_id

UNTRACED_PATHS = ("/health", "/metrics")


class HttpTraceMiddleware:
    """ASGI middleware around the framework, which records the route in the scope."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        parent = dict(scope["headers"]).get(TRACEPARENT.encode(), b"").decode("latin-1")
        # Several headers of this name count as one.
        state = b",".join(value for name, value in scope["headers"] if name == TRACESTATE.encode()).decode("latin-1")
        method = str(scope["method"])
        untraced = scope["path"].startswith(UNTRACED_PATHS)
        span = Span(parent, state) if untraced else self._tracing.start_span(method, parent, "server", state)
        span.set_attribute("http.request.method", method)
        span.set_attribute("claude_api.request_id", str(scope.get("state", {}).get(REQUEST_ID_KEY, "")))
        scope.setdefault("state", {}).update({TRACEPARENT: span.traceparent, TRACESTATE: span.tracestate})

        async def send_noting_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    span.fail(str(message["status"]))
            await send(message)

        traced = {"trace_id": parse_trace_id(span.traceparent)} if span.traceparent else {}
        structlog.contextvars.bind_contextvars(**traced)
        try:
            await self._app(scope, receive, send_noting_status)
        finally:
            route = str(scope.get("path_template") or "")
            if route:
                span.set_attribute("http.route", route)
                span.rename(f"{method} {route}")
            span.end()
