"""Limits of keys: requests and tokens a minute, jobs at once; counted here, or in Redis for several API hosts.

Law: a minute's window begins with its first request and is counted afresh when it ends. A Redis that does not answer
stops nothing: at the first failure this process counts by itself, going on from what it let in itself, until a probe
beside the requests has found that Redis answers again; meanwhile /health says so.
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
    "RATE_LIMIT_URL does not answer, so limits are not shared: each API process counts by itself until it does. Start "
    "it, or mend the URL."
)

log = structlog.get_logger()


class RateLimitStatus(Struct, frozen=True):
    """What is left of a minute's allowance. reset: when it is counted afresh, in seconds since 1970."""

    limit: int
    remaining: int
    reset: float
    is_within: bool = True


class RateLimiter:
    """Counts. Mutable: those of this process, the places that its jobs hold, and whether Redis answers."""

    def __init__(self, url: str | None, prefix: str = "claude-api-server") -> None:
        self._local: Storage = MemoryStorage()
        self._shared = RedisLimits(url, prefix) if url else None
        self._redis_available = self._shared is not None
        self._job_counts: Counter[str] = Counter()
        self._leases: dict[str, str] = {}

    @property
    def problem(self) -> str:
        """What is wrong, and the mend; empty when nothing is."""
        return "" if self._shared is None or self._redis_available else LIMITS_NOT_SHARED

    async def open(self) -> None:
        """Connect before the first request needs it."""
        if self._shared:
            await self._call_redis(self._shared.probe(), REDIS_CONNECT_TIMEOUT)

    async def probe(self) -> None:
        """Find out whether a Redis that failed answers again, and keep the places that are taken."""
        if self._shared is None:
            return
        anew = not self._redis_available
        if anew and await self._call_redis(self._shared.probe(), REDIS_CONNECT_TIMEOUT):
            self._redis_available = True
            log.info("limits are shared again")
        if self._redis_available and self._leases:
            await self._call_redis(self._shared.renew(self._leases, reacquire=anew), REDIS_TIMEOUT)

    async def count(self, what: str, key: str, limit: int, cost: int) -> RateLimitStatus:
        """Add to a minute's count; what is left after it. `within` says whether it was still in the allowance."""
        item, of = RateLimitItemPerMinute(limit), (what, key)
        # Here too, so that what was let in is known here if Redis fails.
        own = await _count_in(self._local, item, of, cost)
        if self._shared and self._redis_available:
            return await self._call_redis(_count_in(self._shared.storage, item, of, cost), REDIS_TIMEOUT) or own
        return own

    async def acquire_job(self, key: str, limit: int) -> str | None:
        """Take a place among a key's jobs; None when all are taken."""
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
        """The job has ended."""
        key = self._leases.pop(lease)
        self._job_counts[key] -= 1
        if not self._job_counts[key]:
            del self._job_counts[key]
        if self._shared and self._redis_available:
            await self._call_redis(self._shared.release_job(key, lease), REDIS_TIMEOUT)

    async def close(self) -> None:
        """Close what was opened."""
        if self._shared:
            await self._shared.close()

    async def _call_redis[T](self, question: Awaitable[T], within: float) -> T | None:
        """What Redis answers; None if it does not."""
        try:
            async with asyncio.timeout(within):
                return await question
        except Exception as error:  # noqa: BLE001 # the driver's faults are of many kinds; none may stop a job
            if self._redis_available:
                log.error("limits are not shared", reason=type(error).__name__)
            self._redis_available = False
            return None


async def _count_in(storage: Storage, item: RateLimitItemPerMinute, of: tuple[str, str], cost: int) -> RateLimitStatus:
    limiter = FixedWindowRateLimiter(storage)
    within = not cost or await limiter.hit(item, *of, cost=cost)
    stats = await limiter.get_window_stats(item, *of)
    return RateLimitStatus(item.amount, stats.remaining, stats.reset_time, within)
