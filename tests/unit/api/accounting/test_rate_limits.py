"""Counting by this process, and going on by itself when Redis does not answer."""

from typing import Any

import pytest

from api.accounting import rate_limits
from api.accounting.rate_limits import RateLimiter


async def test_a_minute_is_counted_by_key_and_by_what() -> None:
    """What is beyond the allowance is told; looking costs nothing."""
    counters = RateLimiter(None)
    assert (await counters.count("requests", "a", 2, 0)).remaining == 2
    found = [await counters.count("requests", "a", 2, 1) for _ in range(3)]
    assert [(left.remaining, left.is_within) for left in found] == [(1, True), (0, True), (0, False)]
    assert (await counters.count("requests", "b", 2, 1)).is_within
    assert (await counters.count("tokens", "a", 2, 1)).is_within
    assert counters.problem == ""


async def test_places_are_given_back() -> None:
    """As many as the limit says, for each key."""
    counters = RateLimiter(None)
    first, second = await counters.acquire_job("a", 2), await counters.acquire_job("a", 2)
    assert first
    assert second
    assert await counters.acquire_job("a", 2) is None
    assert await counters.acquire_job("b", 1)
    await counters.release_job(first)
    assert await counters.acquire_job("a", 2)


class Flaky:
    """What is shared, as a test wants it. Mutable: whether it answers, and what it was asked."""

    def __init__(self) -> None:
        self.answers = True
        self.renewed: list[bool] = []
        self.storage: Any = rate_limits.MemoryStorage()

    def _asked(self) -> None:
        if not self.answers:
            raise ConnectionError

    async def probe(self) -> bool:
        self._asked()
        return True

    async def take(self, key: str, lease: str, limit: int) -> bool:
        self._asked()
        return True

    async def give_back(self, key: str, lease: str) -> None:
        self._asked()

    async def renew(self, leases: dict[str, str], *, reacquire: bool) -> None:
        self._asked()
        self.renewed.append(reacquire)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Flaky:
    """In Redis' place."""
    shared = Flaky()
    monkeypatch.setattr(rate_limits, "RedisLimits", lambda url, prefix: shared)
    return shared


async def test_what_was_let_in_still_counts_when_redis_is_lost(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process goes on from what it let in itself, and asks Redis no more until a probe has found it."""
    counters = RateLimiter("redis://somewhere")
    await counters.open()
    assert [(await counters.count("requests", "a", 3, 1)).is_within for _ in range(2)] == [True, True]
    flaky.answers = False

    async def lost(*_: object) -> int:
        raise ConnectionError

    monkeypatch.setattr(flaky.storage, "incr", lost)
    assert [(await counters.count("requests", "a", 3, 1)).is_within for _ in range(2)] == [True, False]
    assert "not shared" in counters.problem
    lease = await counters.acquire_job("a", 1)
    assert lease
    assert await counters.acquire_job("a", 1) is None
    await counters.probe()
    assert "not shared" in counters.problem
    flaky.answers = True
    # It answers, but nobody asks it before the probe has.
    assert not (await counters.count("requests", "a", 3, 1)).is_within
    await counters.probe()
    assert counters.problem == ""
    assert flaky.renewed == [True]
    await counters.probe()
    assert flaky.renewed == [True, False]


async def test_a_redis_that_is_not_there_at_the_start_stops_nothing() -> None:
    """Nothing listens at the port; the limit holds here."""
    counters = RateLimiter("redis://127.0.0.1:1/0")
    await counters.open()
    assert "RATE_LIMIT_URL" in counters.problem
    assert [(await counters.count("requests", "a", 1, 1)).is_within for _ in range(2)] == [True, False]
    await counters.close()
