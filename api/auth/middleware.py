"""Authentication: compares a request's credentials in constant time and checks the key's scope.

Invariants: every route needs a key with the route's scope, except routes marked `public`, and routes marked `by_address`
for callers at an allowed address that use a name of this server and are not a web page. The first credential that is a
valid key counts, in the order of `list_credentials`; the others do no harm, because clients and proxies add their own. A
missing key and a wrong one get the same answer in the same time (RFC 6750), until an address has sent too many wrong
ones. The owner's token has every scope; a named key has the scopes it was given. Nothing here waits for I/O.
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
# The headers in which clients send a key, in the order in which they are tried: OpenAI's, Anthropic's and Azure's.
# Google's `x-goog-api-key` is missing because no Google API is served.
AUTHORIZATION = b"authorization"
KEY_HEADERS = (b"x-api-key", b"api-key")
ORIGIN_HEADER = b"origin"
# Each is hashed; no client needs more.
MAX_CREDENTIALS = 16
# The credentials of a request without one.
NO_CREDENTIALS = ("",)

type RemainingHeaders = Callable[[Key, str], Mapping[str, str]]


class AuthMiddleware:
    """ASGI middleware in front of every route.

    allowed_networks: addresses that need no key for routes marked `by_address`. remaining_headers: builds the headers
    with a key's remaining limits, for a path. known_host: whether a Host header names this server.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        allowed_networks: tuple[Network, ...] = (),
        keyring: Keyring | None = None,
        remaining_headers: RemainingHeaders | None = None,
        *,
        known_host: Callable[[str], bool] = lambda _host: True,
        failed_keys: FailedKeys | None = None,
    ) -> None:
        self._app = app
        self._known_host = known_host
        self._allowed_networks = allowed_networks
        self._token_hash = _hash_token(token)
        self._keyring = keyring or Keyring()
        self._remaining_headers = remaining_headers
        self._failed_keys = failed_keys or FailedKeys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler: BaseRouteHandler = scope["route_handler"]
        credentials = list_credentials(scope["headers"])
        waived = bool(handler.opt.get(PUBLIC)) or (
            bool(handler.opt.get(BY_ADDRESS)) and self._is_allowed_by_address(scope)
        )
        principal, problem = self._identify(credentials)
        if principal is None and credentials != NO_CREDENTIALS and not (problem and problem.retryable):
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
        """Whether the caller's address needs no key. Raises Problem if the Host header names another server."""
        address = get_caller_address(scope)
        if address is None or not any(address in network for network in self._allowed_networks):
            return False
        headers = {name.lower(): value for name, value in scope["headers"]}
        # A browser at an allowed address may send requests of any web page.
        if ORIGIN_HEADER in headers:
            return False
        if not self._known_host(headers.get(b"host", b"").decode("latin-1")):
            raise unknown_host_problem()
        return True

    def _identify(self, credentials: Sequence[str]) -> tuple[Principal | None, Problem | None]:
        """Returns the holder of the first valid key; without one, why the first known key is not valid."""
        refusal: Problem | None = None
        for credential in credentials:
            if hmac.compare_digest(_hash_token(credential), self._token_hash):
                return Principal(), None
            if not credential.startswith(KEY_PREFIX):
                continue
            key = self._keyring.find(credential)
            problem = find_key_problem(key) if key else None
            if key is None and not self._keyring.is_loaded:
                message = "The server's keys can't be read now. GET /health says why."
                problem = Problem(503, "database_unavailable", message, retryable=True, retry_after=1)
            if key and not problem:
                return Principal(key), None
            refusal = refusal or problem
        return None, refusal


def list_credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    """Returns the distinct credentials of a request, `MAX_CREDENTIALS` at most, in the order in which they count.

    Bearer tokens come first, then `x-api-key`, then `api-key`. The values of a repeated header keep their order, also
    where a proxy joined them with commas (RFC 9110 §5.3). Empty values and other schemes are skipped. A request without
    credentials has an empty one, which takes as long to refuse.
    """
    found = {AUTHORIZATION: list[str](), **{name: list[str]() for name in KEY_HEADERS}}
    for name, value in headers:
        if name.lower() in found:
            text = value.decode("latin-1")
            found[name.lower()] += [text, *(text.split(",", MAX_CREDENTIALS) if "," in text else ())]
    credentials = [token for value in found.pop(AUTHORIZATION) if (token := _bearer_token(value))]
    credentials += [key for values in found.values() for value in values if (key := value.strip())]
    return tuple(dict.fromkeys(credentials))[:MAX_CREDENTIALS] or NO_CREDENTIALS


def _bearer_token(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def unknown_host_problem() -> Problem:
    """Returns the error for a Host header that names another server (RFC 9110 §15.5.20)."""
    message = "Unknown host name. The server's owner can allow it with ALLOWED_HOSTS."
    return Problem(421, "host_not_allowed", message)


def find_key_problem(key: Key) -> Problem | None:
    """Returns why a key is no longer valid; None if it is valid."""
    if key.disabled:
        return Problem(401, "key_disabled", "This key is disabled; the server's owner can enable it again.")
    if key.is_expired:
        return Problem(401, "key_expired", "This key has expired; ask the server's owner for another one.")
    return None


def require_scope(principal: Principal | None, scope: str) -> None:
    """Raises Problem if the caller does not have the scope."""
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
    """Returns the caller's principal, on a route that is not public."""
    return request.scope["state"][PRINCIPAL]


def _add_remaining_headers(key: Key, path: str, remaining_headers: RemainingHeaders, send: Send) -> Send:
    async def send_with_limits(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in remaining_headers(key, path).items()]
            message = {**message, "headers": [*message["headers"], *extra]}
        await send(message)

    return send_with_limits


def _hash_token(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
