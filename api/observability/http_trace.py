"""A span for each request, below the caller's own if it sent a `traceparent`; every line of the log has the trace.

Law: what watches the server (health, metrics) begins no trace of its own.
"""

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.core.request_state import REQUEST_ID_KEY, TRACEPARENT, TRACESTATE
from shared.tracing import Span, Tracing, parse_trace_id

UNTRACED_PATHS = ("/health", "/metrics")


class HttpTraceMiddleware:
    """ASGI middleware around the framework, which says in the scope which route it took."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        parent = dict(scope["headers"]).get(TRACEPARENT.encode(), b"").decode("latin-1")
        # It may come in several headers, which are one.
        came = b",".join(value for name, value in scope["headers"] if name == TRACESTATE.encode()).decode("latin-1")
        method = str(scope["method"])
        watching = scope["path"].startswith(UNTRACED_PATHS)
        span = Span(parent, came) if watching else self._tracing.start_span(method, parent, "server", came)
        span.set_attribute("http.request.method", method)
        span.set_attribute("claude_api.request_id", str(scope.get("state", {}).get(REQUEST_ID_KEY, "")))
        scope.setdefault("state", {}).update({TRACEPARENT: span.traceparent, TRACESTATE: span.tracestate})

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                if message["status"] >= 500:
                    span.fail(str(message["status"]))
            await send(message)

        traced = {"trace_id": parse_trace_id(span.traceparent)} if span.traceparent else {}
        structlog.contextvars.bind_contextvars(**traced)
        try:
            await self._app(scope, receive, noted)
        finally:
            route = str(scope.get("path_template") or "")
            if route:
                span.set_attribute("http.route", route)
                span.rename(f"{method} {route}")
            span.end()
