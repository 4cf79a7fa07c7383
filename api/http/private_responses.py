"""Answers that no web page of another origin may read: the numbers, which some addresses get without a key, and keys.

Invariants: whatever ENABLE_CORS allows, an answer of these has no header that lets a browser hand it on. Which route an
answer belongs to is the framework's word, so no spelling of a path gets around it.
"""

from litestar.types import ASGIApp, Message, Receive, Scope, Send

PRIVATE_PATHS = ("/metrics", "/api/admin")
CORS_HEADER_PREFIX = b"access-control-"


class PrivateResponsesMiddleware:
    """ASGI middleware around the framework, which says in the scope which route it took."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def filtered(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_private(scope):
                kept = [header for header in message["headers"] if not header[0].lower().startswith(CORS_HEADER_PREFIX)]
                message = {**message, "headers": kept}
            await send(message)

        await self._app(scope, receive, filtered)


def _is_private(scope: Scope) -> bool:
    return str(scope.get("path_template") or scope.get("path", "")).startswith(PRIVATE_PATHS)
