"""The memory for the bodies of all requests in progress, and each key's share of it.

Invariants: no key can take all of it. A key has at most as much as is then left for others, but always one body of the
largest size if that fits; a part is reserved for small bodies. A body counts until its request ends.
"""

from collections import Counter
from collections.abc import Callable

from api.core.problems import Problem

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_SMALL_BODY_BYTES = 64 * 1024
# The part of the memory that is reserved for small bodies, and what a key may always have of it.
SMALL_BODY_RESERVE_DIVISOR = 8
MIN_SMALL_BODY_QUOTA = 1024 * 1024


def capacity_problem(
    limit: str = "The requests in progress have reached the limit of this server (MAX_INFLIGHT_BODY_BYTES).",
) -> Problem:
    """Returns the error for full memory. A new one each time: a stored exception keeps the bodies in its frames alive."""
    return Problem(503, "server_overloaded", f"{limit} Try again in a moment.", retry_after=1, retryable=True)


def body_timeout_problem() -> Problem:
    """Returns the error for a body that did not arrive in time."""
    return Problem(408, "request_too_slow", "The body of the request did not come in time.", retryable=True)


class InflightBodies:
    """Mutable: how much memory is reserved, by owner."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._large_limit = size - max(0, min(size // SMALL_BODY_RESERVE_DIVISOR, size - MAX_BODY_BYTES))
        self._used = 0
        self._small: Counter[str] = Counter()
        self._large: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<InflightBodies {self._used} of {self._size}>"

    def reserve(self, size: int, owner: str = "", before: int = 0) -> None:
        """Reserve `size` more bytes for a body of `before` bytes. Raises Problem (503) if they do not fit."""
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
            raise capacity_problem(
                "This key's requests in progress have reached the key's share of MAX_INFLIGHT_BODY_BYTES."
            )
        self._add_usage(owner, -before)
        self._add_usage(owner, after)

    def release(self, size: int, owner: str = "") -> None:
        """Release a body of `size` bytes."""
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
    """The memory of one request. Mutable: its size, and its owner once something was reserved."""

    def __init__(self, bodies: InflightBodies, owner: Callable[[], str] = lambda: "") -> None:
        self._bodies = bodies
        self._find_owner = owner
        self._owner: str | None = None
        self.size = 0

    def reserve(self, size: int) -> None:
        """Reserve more. Raises Problem (503)."""
        if self._owner is None:
            self._owner = self._find_owner()
        self._bodies.reserve(size, self._owner, self.size)
        self.size += size

    def release(self) -> None:
        """Release everything."""
        if self._owner is not None:
            self._bodies.release(self.size, self._owner)
        self.size = 0
