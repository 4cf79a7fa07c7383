"""Who asks: the bearer token, known again in constant time, and what it may.

Law: everything needs a key but what is marked `public`; a missing key and a wrong one get the same answer in the same
time (RFC 6750). The owner's token has every scope; a named key has its own. Nothing here waits for anything.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request
from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.keys import PREFIX, Key, Keyring, Principal
from api.problems import Problem
from api.scopes import ANY, SCOPE

PUBLIC = "public"
HAS_KEY = "has_key"
PRINCIPAL = "principal"

type Left = Callable[[Key, str], Mapping[str, str]]


class RequireKey:
    """ASGI middleware in front of every route. left: the headers that tell a key what it has left, at a path."""

    def __init__(self, app: ASGIApp, token: str, keyring: Keyring | None = None, left: Left | None = None) -> None:
        self._app = app
        self._digest = _digest(token)
        self._keyring = keyring or Keyring()
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        public = handler.opt.get(PUBLIC)
        given = _given(Headers.from_scope(scope))
        principal = self._owner(given) or self._named(given, public=bool(public))
        scope["state"][HAS_KEY] = principal is not None
        scope["state"][PRINCIPAL] = principal
        if not public:
            permit(principal, handler.opt.get(SCOPE, "admin"))
        if principal and principal.key and self._left and not public:
            send = self._telling(principal.key, scope["path"], send)
        await self._app(scope, receive, send)

    def _owner(self, given: str) -> Principal | None:
        return Principal() if hmac.compare_digest(_digest(given), self._digest) else None

    def _named(self, given: str, *, public: bool) -> Principal | None:
        """The holder of a named key. Raises Problem for one that is known and may not be used."""
        if not given.startswith(PREFIX):
            return None
        key = self._keyring.find(given)
        if key is None or public:
            if not (self._keyring.loaded or public):
                raise Problem(
                    503,
                    "database_unavailable",
                    "The server's keys can't be read now. GET /health says why.",
                    retryable=True,
                    retry_after=1,
                )
            return Principal(key) if key and usable(key) else None
        if key.disabled:
            raise Problem(401, "key_disabled", "This key is disabled; the server's owner can enable it again.")
        if not usable(key):
            raise Problem(401, "key_expired", "This key has expired; ask the server's owner for another one.")
        return Principal(key)

    def _telling(self, key: Key, path: str, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and self._left:
                extra = [(name.encode(), value.encode()) for name, value in self._left(key, path).items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        return told


def usable(key: Key) -> bool:
    """Whether a key opens now."""
    return not key.disabled and (key.expires is None or key.expires > time.time())


def permit(principal: Principal | None, scope: str) -> None:
    """Let pass who has a scope. Raises Problem."""
    if principal is None:
        raise Problem(
            401,
            "invalid_api_key",
            "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`; its owner finds it in "
            "API_SECRET_TOKEN or in the file that the server named when it first started.",
        )
    if scope not in {ANY, *principal.scopes}:
        raise Problem(
            403,
            "missing_scope",
            f"This key does not have the scope `{scope}`, which this needs; it has: {', '.join(principal.scopes) or 'none'}.",
        )


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Who asks by this request, of a route that is not public."""
    return request.scope["state"][PRINCIPAL]


def _given(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
