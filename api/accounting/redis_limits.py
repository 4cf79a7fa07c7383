"""Counts that several API hosts share, in Redis or Valkey. Every method raises what the driver raises.

Invariants: a lease outlives its process by `LEASE_SECONDS` at most.
"""

import time
import uuid
from collections.abc import Mapping

from limits.aio.storage import RedisStorage, Storage

SOCKET_TIMEOUT = 3.0
LEASE_SECONDS = 30
# The driver knows the protocol by one name.
SCHEME_ALIASES = {"valkey": "redis", "valkeys": "rediss"}


class RedisLimits:
    """One pool of connections. storage: for counting with `limits`."""

    def __init__(self, url: str, prefix: str) -> None:
        # Loaded only if counts are shared.
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
            connection_pool=pool,  # pyright: ignore[reportArgumentType] # as documented
        )

    async def probe(self) -> bool:
        """Connect, and count once, so that counting is known to work."""
        return await self.storage.incr(f"{self._prefix}/probe/{uuid.uuid4().hex}", 1) > 0

    async def ping(self) -> None:
        """Connect without a change."""
        await self._redis.ping()  # pyright: ignore[reportGeneralTypeIssues, reportUnknownMemberType] # typed for both of its forms

    async def acquire_job(self, key: str, lease: str, limit: int) -> bool:
        """Take a lease for a concurrent job of a key. Returns False if all are taken."""
        name, now = self._job_set_key(key), time.time()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(name, 0, now)
            pipe.zadd(name, {lease: now + LEASE_SECONDS})
            pipe.zcard(name)
            pipe.expire(name, LEASE_SECONDS * 2)
            _, _, count, _ = await pipe.execute()
        if count <= limit:
            return True
        await self._redis.zrem(name, lease)
        return False

    async def release_job(self, key: str, lease: str) -> None:
        """Release a lease."""
        await self._redis.zrem(self._job_set_key(key), lease)

    async def renew(self, leases: Mapping[str, str], *, reacquire: bool) -> None:
        """Renew leases, given with their keys. reacquire: Redis may have lost them, so take them again."""
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
