"""What comes of a request's body: in time, and only as much as fits beside the bodies of others.

Law: a body that does not come, or for which there is no room, is a Problem where it is read; the room is given back when
the request is over, since what was read is kept in one form or another until then.
"""

import asyncio

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from api.core.request_state import PRINCIPAL
from api.http.inflight_bodies import BodyReservation, InflightBodies, body_timeout_problem

RESERVATION_KEY = "body_room"
# Bytes a second: a body that comes faster may take longer than READ_BODY_TIMEOUT.
MIN_BYTES_PER_SECOND = 4096
# How many times READ_BODY_TIMEOUT a body may take, however steadily it comes.
MAX_TIMEOUT_FACTOR = 10

type BodyMessage = HTTPReceiveMessage | WebSocketReceiveMessage


class BodyDeadline:
    """How long a body may still take. Mutable: until when.

    Each byte adds to the time that is left, but never beyond `timeout` from now: what came earlier does not pay for a
    client that has stopped.
    """

    def __init__(self, now: float, timeout: float) -> None:
        self._timeout = timeout
        self._latest = now + MAX_TIMEOUT_FACTOR * timeout
        self.deadline = now + timeout

    def extend(self, now: float, size: int) -> None:
        """Count what came."""
        self.deadline = min(self.deadline + size / MIN_BYTES_PER_SECOND, now + self._timeout, self._latest)


class BodyLimitsMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, bodies: InflightBodies, timeout: float) -> None:
        self._app = app
        self._bodies = bodies
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        share = BodyReservation(self._bodies, lambda: find_owner(scope))
        scope.setdefault("state", {})[RESERVATION_KEY] = share
        loop = asyncio.get_running_loop()
        pace: BodyDeadline | None = None
        whole = False

        async def bounded() -> BodyMessage:
            nonlocal pace, whole
            if whole:
                return await receive()
            pace = pace or BodyDeadline(loop.time(), self._timeout)
            try:
                async with asyncio.timeout_at(pace.deadline):
                    message = await receive()
            except TimeoutError:
                raise body_timeout_problem() from None
            if message["type"] == "http.request":
                pace.extend(loop.time(), len(message["body"]))
                share.reserve(len(message["body"]))
                whole = not message.get("more_body")
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            share.release()


def find_owner(scope: Scope) -> str:
    """Whose share of the room a request uses: its key's, or its address's before a key is known."""
    principal = scope["state"].get(PRINCIPAL)
    client = scope.get("client")
    return f"key {principal.id}" if principal else f"address {client[0] if client else ''}"


def get_reservation(scope: Scope) -> BodyReservation | None:
    """What a request has of the room for bodies; None where nothing counts it."""
    return scope["state"].get(RESERVATION_KEY)
