"""What comes of a request's body: in time, and only as much as fits beside the bodies of others.

Law: a body that does not come, or for which there is no room, is a Problem where it is read; the room is given back when
the request is over, since what was read is kept in one form or another until then.
"""

import asyncio

from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

from api.problems import Problem

STATE_KEY = "body_room"
# Bytes a second: a body that comes faster may take longer than BODY_TIMEOUT.
SLOWEST = 4096


def full() -> Problem:
    """There is no room. One for each request: a problem that is kept keeps the bodies that it was raised over."""
    return Problem(
        503,
        "too_much_at_once",
        "The requests under way are together as large as this server takes (BODY_BYTES). Try again in a moment.",
        retry_after=1,
        retryable=True,
    )


class Room:
    """For the bodies of all requests under way. Mutable: how much is taken."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0

    def take(self, size: int) -> None:
        """Raises Problem (503) when there is not so much."""
        if self._taken + size > self._size:
            raise full()
        self._taken += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._taken -= size


class Share:
    """What one request has of the room. Mutable: how much."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def take(self, size: int) -> None:
        """Take more. Raises Problem (503)."""
        self._room.take(size)
        self.size += size

    def end(self) -> None:
        """Give all of it back."""
        self._room.give(self.size)
        self.size = 0


class BoundedBody:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, room: Room, timeout: float) -> None:
        self._app = app
        self._room = room
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        share = Share(self._room)
        scope.setdefault("state", {})[STATE_KEY] = share
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        whole = False

        async def bounded() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal deadline, whole
            if whole:
                return await receive()
            deadline = deadline or loop.time() + self._timeout
            try:
                async with asyncio.timeout_at(deadline + share.size / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    408, "request_too_slow", "The body of the request did not come in time.", retryable=True
                ) from None
            if message["type"] == "http.request":
                share.take(len(message["body"]))
                whole = not message.get("more_body")
            return message

        try:
            await self._app(scope, bounded, send)
        finally:
            share.end()
