"""Rate limits of keys: requests and tokens a minute, concurrent jobs; counted in memory, or in Redis for several hosts.

Invariants: a minute's window starts with its first request. A Redis that does not answer stops nothing: at the first
failure this process counts alone, starting from its own counts, until a background probe finds that Redis answers again;
meanwhile /health reports it.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from msgspec import Struct

from api.accounting.redis_limits import RedisLimits

REDIS_TIMEOUT = 3.0
# A cold start connects and loads the script, maybe on a busy machine.
REDIS_CONNECT_TIMEOUT = 10.0
LIMITS_NOT_SHARED = (
    "RATE_LIMIT_URL does not answer, so limits are not shared: each API process counts alone until it does. Start "
    "Redis, or fix the URL."
)

log = structlog.get_logger()


class RateLimitStatus(Struct, frozen=True):
    """What is left of a minute's limit. reset: the end of the window, in seconds since 1970."""

    limit: int
    remaining: int
    reset: float
    is_within: bool = True


class RateLimiter:
    """Mutable: this process's counts, the leases of its jobs, and whether Redis answers."""

    def __init__(self, url: str | None, prefix: str = "claude-api-server") -> None:
        self._local: Storage = MemoryStorage()
        self._shared = RedisLimits(url, prefix) if url else None
        self._redis_available = self._shared is not None
        self._job_counts: Counter[str] = Counter()
        self._leases: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """The problem and its fix; empty if there is none."""
        return "" if self._shared is None or self._redis_available else LIMITS_NOT_SHARED

    async def open(self) -> None:
        """Connect before the first request needs it."""
        if self._shared:
            await self._call_redis(self._shared.probe(), REDIS_CONNECT_TIMEOUT)

    async def probe(self) -> None:
        """Check whether a Redis that failed answers again, and renew the leases."""
        if self._shared is None:
            return
        reconnecting = not self._redis_available
        if reconnecting and await self._call_redis(self._shared.probe(), REDIS_CONNECT_TIMEOUT):
            self._redis_available = True
            log.info("limits are shared again")
        if self._redis_available and self._leases:
            await self._call_redis(self._shared.renew(self._leases, reacquire=reconnecting), REDIS_TIMEOUT)

    async def count(self, what: str, key: str, limit: int, cost: int) -> RateLimitStatus:
        """Adds to a minute's count; returns what is left, and whether the limit still allowed it."""
        item, names = RateLimitItemPerMinute(limit), (what, key)
        # In memory too, so that the counts are known if Redis fails.
        own = await _count_in(self._local, item, names, cost)
        if self._shared and self._redis_available:
            return await self._call_redis(_count_in(self._shared.storage, item, names, cost), REDIS_TIMEOUT) or own
        return own

    async def acquire_job(self, key: str, limit: int) -> str | None:
        """Returns a lease for a concurrent job of a key; None if all are taken."""
        lease = uuid.uuid4().hex
        shared = None
        if self._shared and self._redis_available:
            shared = await self._call_redis(self._shared.acquire_job(key, lease, limit), REDIS_TIMEOUT)
        if not (self._job_counts[key] < limit if shared is None else shared):
            return None
        self._job_counts[key] += 1
        self._leases[lease] = key
        return lease

    async def release_job(self, lease: str) -> None:
        """Release the lease of a finished job."""
        key = self._leases.pop(lease)
        self._job_counts[key] -= 1
        if not self._job_counts[key]:
            del self._job_counts[key]
        if self._shared and self._redis_available:
            await self._call_redis(self._shared.release_job(key, lease), REDIS_TIMEOUT)

    async def close(self) -> None:
        """Close the connections."""
        if self._shared:
            await self._shared.close()

    async def _call_redis[T](self, call: Awaitable[T], max_seconds: float) -> T | None:
        """Returns Redis' answer; None if there is none."""
        try:
            async with asyncio.timeout(max_seconds):
                return await call
        except Exception as error:  # noqa: BLE001 # the driver raises many kinds of errors; none may stop a job
            if self._redis_available:
                log.error("limits are not shared", reason=type(error).__name__)
            self._redis_available = False
            return None


async def _count_in(
    storage: Storage, item: RateLimitItemPerMinute, names: tuple[str, str], cost: int
) -> RateLimitStatus:
    limiter = FixedWindowRateLimiter(storage)
    within = not cost or await limiter.hit(item, *names, cost=cost)
    stats = await limiter.get_window_stats(item, *names)
    return RateLimitStatus(item.amount, stats.remaining, stats.reset_time, within)
