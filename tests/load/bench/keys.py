"""What keys cost: the way of a job through authentication, limits and ledger; and what refused keys cost those served."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.auth.middleware import require_scope
from api.core.caller import Caller
from api.core.keys import Allowance, Key, Keyring, Principal, generate_key, hash_key
from api.executors.pool import ExecutorPool
from api.models.catalogue import Catalogue
from shared.events import Done, Event, Started, Usage
from tests.support.meter import meter_messages

MUCH = 10**9
REFUSED_PER_SECOND = 200
DONE = (Started("claude-haiku-4-5"), Done("end_turn", Usage(1000, 100), 0.01))


async def added(folder: Path, jobs: int) -> list[float]:
    """Milliseconds of each job with every limit there is, the job itself taking none. Its lines are in a real journal."""
    pepper, secret = b"p" * 32, generate_key()
    limits = Allowance(MUCH, MUCH, MUCH, MUCH, MUCH, MUCH, MUCH)
    keyring = Keyring()
    keyring.pepper = pepper
    keyring.replace([Key("k", "bench", hash_key(secret, pepper), ("chat",), allowance=limits)])
    catalogue = Catalogue(ExecutorPool(folder, "claude").fetch_statuses, "haiku", {})
    ledger = Ledger(folder)
    meter = Meter(keyring, RateLimiter(None), ledger, catalogue)

    async def job() -> AsyncGenerator[Event]:
        for event in DONE:
            yield event

    took: list[float] = []
    for number in range(jobs):
        began = time.perf_counter()
        key = keyring.find(secret)
        assert key
        require_scope(Principal(key), "chat")
        async for _ in meter_messages(
            meter, job(), Caller(str(number), key.name, "chat", key_id=key.id), "haiku", 4000
        ):
            pass
        meter.build_rate_limit_headers(key, "/v1/chat/completions")
        took.append((time.perf_counter() - began) * 1000)
    ledger.close()
    return took


class Knocking:
    """Someone who asks again and again with a key that is none. Mutable: how many were refused."""

    def __init__(self) -> None:
        self.refused = 0

    @contextlib.asynccontextmanager
    async def at(self, url: str) -> AsyncGenerator[None]:
        """Knock for as long as the context lasts."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        task = asyncio.create_task(self._knock(reader, writer))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            writer.close()

    async def _knock(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = f"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {generate_key()}\r\n\r\n".encode()
        due = time.perf_counter()
        while True:
            writer.write(asked)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert b" 401 " in head.split(b"\r\n")[0], head
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            self.refused += 1
            due += 1 / REFUSED_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
