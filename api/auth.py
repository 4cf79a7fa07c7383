"""Who asks: the bearer token, compared in constant time.

Law: everything needs a key but what is marked `public`; a missing key and a wrong one get the same answer in the same
time. (RFC 6750)
"""

import hashlib
import hmac

from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem

PUBLIC = "public"
HAS_KEY = "has_key"


class RequireKey:
    """ASGI middleware in front of every route."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._digest = _digest(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        known = self._known(Headers.from_scope(scope))
        scope["state"][HAS_KEY] = known
        if not known and not handler.opt.get(PUBLIC):
            raise Problem(
                401,
                "invalid_api_key",
                "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`; its owner finds it in "
                "API_SECRET_TOKEN or in the file that the server named when it first started.",
            )
        await self._app(scope, receive, send)

    def _known(self, headers: Headers) -> bool:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return hmac.compare_digest(_digest(given), self._digest)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
