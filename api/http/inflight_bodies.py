"""The memory for the bodies of all requests under way, and how much of it each key may have.

Law: no key can take all of it. A key has no more of it than what is then left for others, but can always have one body of
the largest size where there is room; a part is kept for small bodies. All are counted until their request is over.
"""

from collections import Counter
from collections.abc import Callable

from api.core.problems import Problem

LARGEST = 32 * 1024 * 1024
SMALL = 64 * 1024
# How much of the room is kept for small bodies, and what a key may have of that in any case.
KEPT_PART = 8
LEAST_SMALL = 1024 * 1024


def full() -> Problem:
    """There is no room. One for each request: a problem that is kept keeps the bodies that it was raised over."""
    return _none_left("The requests under way are together as large as this server takes (MAX_INFLIGHT_BODY_BYTES).")


def share_used() -> Problem:
    """There is no room for this key, which has its share."""
    return _none_left(
        "The requests of this key under way are together as large as its share of MAX_INFLIGHT_BODY_BYTES."
    )


def too_slow() -> Problem:
    """The body did not come."""
    return Problem(408, "request_too_slow", "The body of the request did not come in time.", retryable=True)


def _none_left(sentence: str) -> Problem:
    return Problem(503, "server_overloaded", f"{sentence} Try again in a moment.", retry_after=1, retryable=True)


class Room:
    """For the bodies of all requests under way. Mutable: how much is taken, by whom."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._for_large = size - max(0, min(size // KEPT_PART, size - LARGEST))
        self._taken = 0
        self._small: Counter[str] = Counter()
        self._large: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Room {self._taken} of {self._size}>"

    def take(self, size: int, owner: str = "", before: int = 0) -> None:
        """Let a body of `before` bytes grow by `size`. Raises Problem (503) when there is not so much."""
        after = before + size
        small = after <= SMALL
        left = (self._size if small else self._for_large) - self._taken - size
        if left < 0:
            raise full()
        own = self._of(after)[owner] + after - (before if self._of(before) is self._of(after) else 0)
        if own > max(left, LEAST_SMALL if small else LARGEST):
            raise share_used()
        self._change(owner, -before)
        self._change(owner, after)

    def give(self, size: int, owner: str = "") -> None:
        """Give back a body of so many bytes."""
        self._change(owner, -size)

    def _of(self, size: int) -> Counter[str]:
        return self._small if size <= SMALL else self._large

    def _change(self, owner: str, size: int) -> None:
        counts = self._of(abs(size))
        counts[owner] += size
        self._taken += size
        if not counts[owner]:
            del counts[owner]


class Share:
    """What one request has of the room. Mutable: how much, and whose it is once something was taken."""

    def __init__(self, room: Room, owner: Callable[[], str] = lambda: "") -> None:
        self._room = room
        self._find_owner = owner
        self._owner: str | None = None
        self.size = 0

    def take(self, size: int) -> None:
        """Take more. Raises Problem (503)."""
        if self._owner is None:
            self._owner = self._find_owner()
        self._room.take(size, self._owner, self.size)
        self.size += size

    def end(self) -> None:
        """Give all of it back."""
        if self._owner is not None:
            self._room.give(self.size, self._owner)
        self.size = 0
