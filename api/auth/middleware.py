"""Who asks: the credentials of a request, compared in constant time, and what the key among them may do.

Invariants: everything needs a key with the route's scope but what is marked `public`, and what is marked `by_address`
when a neighbour asks, by a name of this server's and not for a web page. The first credential that is a valid key counts,
in the order of `credentials`; others are not held against it, because clients and proxies add their own. A missing key and
a wrong one get the same answer in the same time (RFC 6750), until too many wrong ones came from an address. The owner's
token has every scope; a named key has its own. Nothing here waits for anything.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.failed_keys import FailedKeys
from api.core.keys import KEY_PREFIX, Key, Keyring, Principal
from api.core.problems import Problem
from api.core.request_state import PRINCIPAL
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.http.client_address import Network, get_caller_address

PUBLIC = "public"
# Machines of METRICS_ALLOW need no key for this route.
BY_ADDRESS = "by_address"
# Where a client puts a key, in the order in which they are tried: OpenAI's, Anthropic's and Azure's clients. Google's
# `x-goog-api-key` is not among them: none of its APIs is served, so its clients can ask for nothing here.
AUTHORIZATION = b"authorization"
KEY_HEADERS = (b"x-api-key", b"api-key")
ORIGIN_HEADER = b"origin"
# Each is hashed; nobody needs more of them.
MAX_CREDENTIALS = 16
# What stands for a request without a credential.
NO_CREDENTIALS = ("",)

type RemainingHeaders = Callable[[Key, str], Mapping[str, str]]


class AuthMiddleware:
    """ASGI middleware in front of every route.

    left: the headers that tell a key what it has left, at a path. known_host: whether a Host header names this server.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        neighbours: tuple[Network, ...] = (),
        keyring: Keyring | None = None,
        left: RemainingHeaders | None = None,
        *,
        known_host: Callable[[str], bool] = lambda _host: True,
        failed_keys: FailedKeys | None = None,
    ) -> None:
        self._app = app
        self._known_host = known_host
        self._allowed_networks = neighbours
        self._token_hash = _hash_token(token)
        self._keyring = keyring or Keyring()
        self._remaining_headers = left
        self._failed_keys = failed_keys or FailedKeys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        given = list_credentials(scope["headers"])
        waived = bool(handler.opt.get(PUBLIC)) or (
            bool(handler.opt.get(BY_ADDRESS)) and self._is_allowed_by_address(scope)
        )
        principal, problem = self._identify(given)
        if principal is None and given != NO_CREDENTIALS and not (problem and problem.retryable):
            client = scope.get("client")
            problem = self._failed_keys.record_failure(client[0] if client else "") or problem
        if problem and not waived:
            raise problem
        scope.setdefault("state", {})[PRINCIPAL] = principal
        if not waived:
            require_scope(principal, handler.opt.get(REQUIRED_SCOPE, "admin"))
            if principal and principal.key and self._remaining_headers:
                send = _add_remaining_headers(principal.key, scope["path"], self._remaining_headers, send)
        await self._app(scope, receive, send)

    def _is_allowed_by_address(self, scope: Scope) -> bool:
        """Whether a caller needs no key because of its address. Raises Problem for a page that reached it by another name."""
        address = get_caller_address(scope)
        if address is None or not any(address in network for network in self._allowed_networks):
            return False
        headers = {name.lower(): value for name, value in scope["headers"]}
        # A browser at that address asks for whatever page is open in it.
        if ORIGIN_HEADER in headers:
            return False
        if not self._known_host(headers.get(b"host", b"").decode("latin-1")):
            raise unknown_host_problem()
        return True

    def _identify(self, given: Sequence[str]) -> tuple[Principal | None, Problem | None]:
        """The holder of the first valid key; where there is none, why the first known one is not valid."""
        refusal: Problem | None = None
        for credential in given:
            if hmac.compare_digest(_hash_token(credential), self._token_hash):
                return Principal(), None
            if not credential.startswith(KEY_PREFIX):
                continue
            key = self._keyring.find(credential)
            problem = (
                keys_unavailable_problem()
                if key is None and not self._keyring.is_loaded
                else key and find_key_problem(key)
            )
            if key and not problem:
                return Principal(key), None
            refusal = refusal or problem
        return None, refusal


def list_credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """The distinct credentials of a request, `MAX_CREDENTIALS` at most, in the order in which they count.

    Bearer tokens come first, then `x-api-key`, then `api-key`. A header that is repeated counts in its own order, also
    where a proxy wrote its values into one, with commas (RFC 9110 §5.3). One that is empty, or has another scheme, is
    none. Without any there is an empty one, which takes as long to refuse.
    """
    found = {AUTHORIZATION: list[str](), **{name: list[str]() for name in KEY_HEADERS}}
    for name, value in headers:
        if name.lower() in found:
            text = value.decode("latin-1")
            found[name.lower()] += [text, *(text.split(",", MAX_CREDENTIALS) if "," in text else ())]
    given = [token for value in found.pop(AUTHORIZATION) if (token := _bearer_token(value))]
    given += [key for values in found.values() for value in values if (key := value.strip())]
    return tuple(dict.fromkeys(given))[:MAX_CREDENTIALS] or NO_CREDENTIALS


def _bearer_token(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def unknown_host_problem() -> Problem:
    """The Host header names another server (RFC 9110 §15.5.20)."""
    message = "This server does not go by that name. Its owner can allow it with ALLOWED_HOSTS."
    return Problem(421, "host_not_allowed", message)


def keys_unavailable_problem() -> Problem:
    """The keys were never read, so nobody can be told that a key is wrong."""
    message = "The server's keys can't be read now. GET /health says why."
    return Problem(503, "database_unavailable", message, retryable=True, retry_after=1)


def find_key_problem(key: Key) -> Problem | None:
    """Why a key opens no longer; None if it does."""
    if key.disabled:
        return Problem(401, "key_disabled", "This key is disabled; the server's owner can enable it again.")
    if key.is_expired:
        return Problem(401, "key_expired", "This key has expired; ask the server's owner for another one.")
    return None


def require_scope(principal: Principal | None, scope: str) -> None:
    """Let pass who has a scope. Raises Problem."""
    if principal is None:
        raise Problem(
            401,
            "invalid_api_key",
            "Incorrect API key provided. Send the server's key as `Authorization: Bearer KEY`; its owner finds it in "
            "API_SECRET_TOKEN or in the file that the server named when it first started.",
        )
    if scope not in {ANY_SCOPE, *principal.scopes}:
        has = ", ".join(principal.scopes)
        message = f"This key does not have the scope `{scope}`, which this needs; it has: {has}."
        raise Problem(403, "missing_scope", message)


def get_principal(request: Request[Any, Any, Any]) -> Principal:
    """Who asks by this request, of a route that is not public."""
    return request.scope["state"][PRINCIPAL]


def _add_remaining_headers(key: Key, path: str, left: RemainingHeaders, send: Send) -> Send:
    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in left(key, path).items()]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return told


def _hash_token(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
