"""Keeps web pages of other origins from reading metrics, which some addresses get without a key, and keys.

Invariants: whatever ENABLE_CORS allows, these responses have no header that lets a browser pass them to a page. The
framework decides the route of a response, so no spelling of a path avoids the check.
"""

from litestar.types import ASGIApp, Message, Receive, Scope, Send

PRIVATE_PATHS = ("/metrics", "/api/admin")
CORS_HEADER_PREFIX = b"access-control-"


class PrivateResponsesMiddleware:
    """ASGI middleware around the framework, which records the route in the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def filtered(message: Message) -> None:
            path = str(scope.get("path_template") or scope.get("path", ""))
            if message["type"] == "http.response.start" and path.startswith(PRIVATE_PATHS):
                headers = [
                    header for header in message["headers"] if not header[0].lower().startswith(CORS_HEADER_PREFIX)
                ]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, filtered)
