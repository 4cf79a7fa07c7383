"""The memory for the bodies of all requests under way, and how much of it each key may have.

Law: no key can take all of it. A key has no more of it than what is then left for others, but can always have one body of
the largest size where there is room; a part is kept for small bodies. All are counted until their request is over.
"""

from collections import Counter
from collections.abc import Callable

from api.core.problems import Problem

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_SMALL_BODY_BYTES = 64 * 1024
# How much of the room is kept for small bodies, and what a key may have of that in any case.
SMALL_BODY_RESERVE_DIVISOR = 8
MIN_SMALL_BODY_QUOTA = 1024 * 1024


def capacity_problem() -> Problem:
    """There is no room. One for each request: a problem that is kept keeps the bodies that it was raised over."""
    return _overload_problem(
        "The requests under way are together as large as this server takes (MAX_INFLIGHT_BODY_BYTES)."
    )


def share_problem() -> Problem:
    """There is no room for this key, which has its share."""
    return _overload_problem(
        "The requests of this key under way are together as large as its share of MAX_INFLIGHT_BODY_BYTES."
    )


def body_timeout_problem() -> Problem:
    """The body did not come."""
    return Problem(408, "request_too_slow", "The body of the request did not come in time.", retryable=True)


def _overload_problem(sentence: str) -> Problem:
    return Problem(503, "server_overloaded", f"{sentence} Try again in a moment.", retry_after=1, retryable=True)


class InflightBodies:
    """For the bodies of all requests under way. Mutable: how much is taken, by whom."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._large_limit = size - max(0, min(size // SMALL_BODY_RESERVE_DIVISOR, size - MAX_BODY_BYTES))
        self._used = 0
        self._small: Counter[str] = Counter()
        self._large: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Room {self._used} of {self._size}>"

    def reserve(self, size: int, owner: str = "", before: int = 0) -> None:
        """Let a body of `before` bytes grow by `size`. Raises Problem (503) when there is not so much."""
        after = before + size
        small = after <= MAX_SMALL_BODY_BYTES
        left = (self._size if small else self._large_limit) - self._used - size
        if left < 0:
            raise capacity_problem()
        own = (
            self._usage_by_size(after)[owner]
            + after
            - (before if self._usage_by_size(before) is self._usage_by_size(after) else 0)
        )
        if own > max(left, MIN_SMALL_BODY_QUOTA if small else MAX_BODY_BYTES):
            raise share_problem()
        self._add_usage(owner, -before)
        self._add_usage(owner, after)

    def release(self, size: int, owner: str = "") -> None:
        """Give back a body of so many bytes."""
        self._add_usage(owner, -size)

    def _usage_by_size(self, size: int) -> Counter[str]:
        return self._small if size <= MAX_SMALL_BODY_BYTES else self._large

    def _add_usage(self, owner: str, size: int) -> None:
        counts = self._usage_by_size(abs(size))
        counts[owner] += size
        self._used += size
        if not counts[owner]:
            del counts[owner]


class BodyReservation:
    """What one request has of the room. Mutable: how much, and whose it is once something was taken."""

    def __init__(self, bodies: InflightBodies, owner: Callable[[], str] = lambda: "") -> None:
        self._bodies = bodies
        self._find_owner = owner
        self._owner: str | None = None
        self.size = 0

    def reserve(self, size: int) -> None:
        """Take more. Raises Problem (503)."""
        if self._owner is None:
            self._owner = self._find_owner()
        self._bodies.reserve(size, self._owner, self.size)
        self.size += size

    def release(self) -> None:
        """Give all of it back."""
        if self._owner is not None:
            self._bodies.release(self.size, self._owner)
        self.size = 0
