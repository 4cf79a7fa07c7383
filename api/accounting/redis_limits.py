"""What several API hosts count together, in Redis or Valkey. Every method raises what the driver raises.

Law: a place that a process took outlives it by `LEASE` at most.
"""

import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from limits.aio.storage import RedisStorage, Storage

if TYPE_CHECKING:
    pass

SOCKET_TIMEOUT = 3.0
LEASE_SECONDS = 30
# One protocol; the driver knows it by one name.
SCHEME_ALIASES = {"valkey": "redis", "valkeys": "rediss"}


class RedisLimits:
    """One pool of connections. storage: for counting with `limits`."""

    def __init__(self, url: str, prefix: str) -> None:
        # Only who shares needs it.
        from redis.asyncio import ConnectionPool, Redis  # noqa: PLC0415

        scheme, rest = url.split("://", 1)
        url = f"{SCHEME_ALIASES.get(scheme, scheme)}://{rest}"
        times = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": SOCKET_TIMEOUT}
        pool = ConnectionPool.from_url(url, **times)
        self._prefix = prefix
        self._redis: Redis = Redis(connection_pool=pool)
        self.storage: Storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix=prefix,
            connection_pool=pool,  # pyright: ignore[reportArgumentType] # as its documentation has it
        )

    async def probe(self) -> bool:
        """Connect, and do once what counting does, so that all of it is known to work."""
        return await self.storage.incr(f"{self._prefix}/probe/{uuid.uuid4().hex}", 1) > 0

    async def ping(self) -> None:
        """Connect, and change nothing."""
        await self._redis.ping()  # pyright: ignore[reportGeneralTypeIssues, reportUnknownMemberType] # typed for both of its forms

    async def acquire_job(self, key: str, lease: str, limit: int) -> bool:
        """Take a place among a key's jobs; False when all are taken."""
        place, now = self._job_set_key(key), time.time()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(place, 0, now)
            pipe.zadd(place, {lease: now + LEASE_SECONDS})
            pipe.zcard(place)
            pipe.expire(place, LEASE_SECONDS * 2)
            _, _, held, _ = await pipe.execute()
        if held <= limit:
            return True
        await self._redis.zrem(place, lease)
        return False

    async def release_job(self, key: str, lease: str) -> None:
        """Give a place back."""
        await self._redis.zrem(self._job_set_key(key), lease)

    async def renew(self, leases: Mapping[str, str], *, reacquire: bool) -> None:
        """Keep these places, which are of these keys. anew: Redis may have forgotten them, so take them again."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for lease, key in leases.items():
                pipe.zadd(self._job_set_key(key), {lease: time.time() + LEASE_SECONDS}, xx=not reacquire)
                pipe.expire(self._job_set_key(key), LEASE_SECONDS * 2)
            await pipe.execute()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    def _job_set_key(self, key: str) -> str:
        return f"{self._prefix}:jobs:{key}"
