"""What comes of a request's body: in time, and only as much as fits beside the bodies of others.

Law: a body that does not come, or for which there is no room, is a Problem where it is read; the room is given back when
the request is over, since what was read is kept in one form or another until then.
"""

import asyncio

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from api.auth.middleware import PRINCIPAL
from api.http.inflight_bodies import Room, Share, too_slow

STATE_KEY = "body_room"
# Bytes a second: a body that comes faster may take longer than READ_BODY_TIMEOUT.
SLOWEST = 4096
# How many times READ_BODY_TIMEOUT a body may take, however steadily it comes.
LONGEST = 10

type Body = HTTPReceiveMessage | WebSocketReceiveMessage


class Pace:
    """How long a body may still take. Mutable: until when.

    Each byte adds to the time that is left, but never beyond `timeout` from now: what came earlier does not pay for a
    client that has stopped.
    """

    def __init__(self, now: float, timeout: float) -> None:
        self._timeout = timeout
        self._end = now + LONGEST * timeout
        self.deadline = now + timeout

    def received(self, now: float, size: int) -> None:
        """Count what came."""
        self.deadline = min(self.deadline + size / SLOWEST, now + self._timeout, self._end)


class BoundedBody:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, room: Room, timeout: float) -> None:
        self._app = app
        self._room = room
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        share = Share(self._room, lambda: owner_of(scope))
        scope.setdefault("state", {})[STATE_KEY] = share
        loop = asyncio.get_running_loop()
        pace: Pace | None = None
        whole = False

        async def bounded() -> Body:
            nonlocal pace, whole
            if whole:
                return await receive()
            pace = pace or Pace(loop.time(), self._timeout)
            try:
                async with asyncio.timeout_at(pace.deadline):
                    message = await receive()
            except TimeoutError:
                raise too_slow() from None
            if message["type"] == "http.request":
                pace.received(loop.time(), len(message["body"]))
                share.take(len(message["body"]))
                whole = not message.get("more_body")
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            share.end()


def owner_of(scope: Scope) -> str:
    """Whose share of the room a request uses: its key's, or its address's before a key is known."""
    principal = scope["state"].get(PRINCIPAL)
    client = scope.get("client")
    return f"key {principal.id}" if principal else f"address {client[0] if client else ''}"


def share_of(scope: Scope) -> Share | None:
    """What a request has of the room for bodies; None where nothing counts it."""
    return scope["state"].get(STATE_KEY)
