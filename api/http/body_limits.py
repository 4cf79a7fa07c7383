"""Limits the time and the memory of request bodies.

Invariants: a body that does not arrive in time, or for which there is no memory, is a Problem where it is read. Memory
is released when the request ends, since its data stays in memory in some form until then.
"""

import asyncio

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from api.core.request_state import PRINCIPAL
from api.http.inflight_bodies import BodyReservation, InflightBodies, body_timeout_problem

RESERVATION_KEY = "body_room"
# Bytes a second: a body that arrives faster may take longer than READ_BODY_TIMEOUT.
MIN_BYTES_PER_SECOND = 4096
# A body may take READ_BODY_TIMEOUT times this, however steadily it arrives.
MAX_TIMEOUT_FACTOR = 10

type BodyMessage = HTTPReceiveMessage | WebSocketReceiveMessage


class BodyDeadline:
    """Mutable: the time by which more of a body must arrive.

    Each byte extends the deadline, but never beyond `timeout` from now: earlier bytes do not help a client that stops.
    """

    def __init__(self, now: float, timeout: float) -> None:
        self._timeout = timeout
        self._latest = now + MAX_TIMEOUT_FACTOR * timeout
        self.deadline = now + timeout

    def extend(self, now: float, size: int) -> None:
        """Extend the deadline for `size` received bytes."""
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
        reservation = BodyReservation(self._bodies, lambda: find_owner(scope))
        scope.setdefault("state", {})[RESERVATION_KEY] = reservation
        loop = asyncio.get_running_loop()
        body_deadline: BodyDeadline | None = None
        is_complete = False

        async def receive_limited() -> BodyMessage:
            nonlocal body_deadline, is_complete
            if is_complete:
                return await receive()
            body_deadline = body_deadline or BodyDeadline(loop.time(), self._timeout)
            try:
                async with asyncio.timeout_at(body_deadline.deadline):
                    message = await receive()
            except TimeoutError:
                raise body_timeout_problem() from None
            if message["type"] == "http.request":
                body_deadline.extend(loop.time(), len(message["body"]))
                reservation.reserve(len(message["body"]))
                is_complete = not message.get("more_body")
            return message

        try:
            await self._app(scope, receive_limited, send)
        finally:
            reservation.release()


def find_owner(scope: Scope) -> str:
    """Returns the owner of a request's memory: its key, or its address before the key is known."""
    principal = scope["state"].get(PRINCIPAL)
    client = scope.get("client")
    return f"key {principal.id}" if principal else f"address {client[0] if client else ''}"


def get_reservation(scope: Scope) -> BodyReservation | None:
    """Returns a request's reservation of memory for its body; None outside of the middleware."""
    return scope["state"].get(RESERVATION_KEY)
