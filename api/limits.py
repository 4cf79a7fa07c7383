"""Limits of keys: requests and tokens a minute, jobs at once; counted here, or in Redis for several API hosts.

Law: a minute's window begins with its first request and is counted afresh when it ends. A Redis that does not answer
stops nothing: this process counts by itself until it answers again, and /health says so.
"""

import asyncio
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from msgspec import Struct

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT = 2.0
# How long a Redis that failed is left alone, and how long a job's place outlives the process that took it.
PAUSE = 5.0
LEASE = 30.0
SAME = {"valkey": "redis", "valkeys": "rediss"}
GONE = (
    "RATE_LIMIT_URL does not answer: each API process counts limits by itself until it does. Start it, or mend the URL."
)

log = structlog.get_logger()


class Left(Struct, frozen=True):
    """What is left of a minute's allowance. reset: when it is counted afresh, in seconds since 1970."""

    limit: int
    remaining: int
    reset: float
    within: bool = True


class Counters:
    """Counts. Mutable: those of this process, and when Redis may be asked again."""

    def __init__(self, url: str | None, prefix: str = "claude-api-server") -> None:
        self._url = url
        self._prefix = prefix
        self._own: Storage = MemoryStorage()
        self._shared: Storage | None = None
        self._redis: Redis | None = None
        self._again = 0.0
        self._jobs: Counter[str] = Counter()
        self._leases: dict[str, str] = {}
        self.problem = ""

    def _client(self) -> "Redis":
        if self._redis is None:
            from redis.asyncio import Redis  # noqa: PLC0415 # only who shares needs it

            url = self._url or ""
            scheme, rest = url.split("://", 1)
            url = f"{SAME.get(scheme, scheme)}://{rest}"
            options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
            self._redis = Redis.from_url(url, **options)
            self._shared = RedisStorage(f"async+{url}", implementation="redispy", key_prefix=self._prefix, **options)
        return self._redis

    def _asks_shared(self) -> bool:
        return self._url is not None and time.monotonic() >= self._again

    def _failed(self, error: Exception) -> None:
        if not self.problem:
            log.error("the shared limits can't be counted", reason=type(error).__name__)
        self._again = time.monotonic() + PAUSE
        self.problem = GONE

    async def open(self) -> None:
        """Connect before the first request needs it."""
        if self._url is not None:
            try:
                await self._client().ping()  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] # awaitable here
            except Exception as error:  # noqa: BLE001 # as below
                self._failed(error)

    async def count(self, what: str, key: str, limit: int, cost: int) -> Left:
        """Add to a minute's count; what is left after it. `within` says whether it was still in the allowance."""
        item = RateLimitItemPerMinute(limit)
        if self._asks_shared():
            try:
                self._client()
                assert self._shared
                left = await _counted(self._shared, item, (what, key), cost)
            except Exception as error:  # noqa: BLE001 # the driver's faults are of many kinds; none may stop a job
                self._failed(error)
            else:
                self.problem = ""
                return left
        return await _counted(self._own, item, (what, key), cost)

    async def take(self, key: str, limit: int) -> str | None:
        """Take a place among a key's jobs; None when all are taken."""
        lease = uuid.uuid4().hex
        if self._asks_shared():
            try:
                taken = await self._take_shared(key, lease, limit)
            except Exception as error:  # noqa: BLE001 # as above
                self._failed(error)
            else:
                self.problem = ""
                if taken:
                    self._leases[lease] = key
                    self._jobs[key] += 1
                return lease if taken else None
        if self._jobs[key] >= limit:
            return None
        self._jobs[key] += 1
        self._leases[lease] = key
        return lease

    async def give_back(self, lease: str) -> None:
        """The job has ended."""
        key = self._leases.pop(lease)
        self._jobs[key] -= 1
        if not self._jobs[key]:
            del self._jobs[key]
        if self._asks_shared():
            try:
                await self._client().zrem(self._place(key), lease)
            except Exception as error:  # noqa: BLE001 # as above
                self._failed(error)

    async def renew(self) -> None:
        """Keep the places that are taken."""
        if not self._leases or not self._asks_shared():
            return
        try:
            async with self._client().pipeline(transaction=False) as pipe:
                for lease, key in self._leases.items():
                    pipe.zadd(self._place(key), {lease: time.time() + LEASE})
                    pipe.expire(self._place(key), int(LEASE * 2))
                await pipe.execute()
        except Exception as error:  # noqa: BLE001 # as above
            self._failed(error)

    async def close(self) -> None:
        """Close what was opened."""
        if self._redis is not None:
            await self._redis.aclose()
        if isinstance(self._shared, RedisStorage):
            await self._shared.bridge.storage.aclose()

    def _place(self, key: str) -> str:
        return f"{self._prefix}:jobs:{key}"

    async def _take_shared(self, key: str, lease: str, limit: int) -> bool:
        place, now = self._place(key), time.time()
        async with self._client().pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(place, 0, now)
            pipe.zadd(place, {lease: now + LEASE})
            pipe.zcard(place)
            pipe.expire(place, int(LEASE * 2))
            _, _, held, _ = await pipe.execute()
        if held <= limit:
            return True
        await self._client().zrem(place, lease)
        return False


async def _counted(storage: Storage, item: RateLimitItemPerMinute, of: tuple[str, str], cost: int) -> Left:
    limiter = FixedWindowRateLimiter(storage)
    async with asyncio.timeout(TIMEOUT):
        within = not cost or await limiter.hit(item, *of, cost=cost)
        stats = await limiter.get_window_stats(item, *of)
    return Left(item.amount, stats.remaining, stats.reset_time, within)
