"""Many streams side by side, each token of each checked, beside one that reads from the service itself."""

import asyncio
import time
from contextlib import AsyncExitStack

from msgspec import Struct

from tests.load.bench.client import Connection
from tests.load.bench.measure import cpu, gaps
from tests.load.bench.paths import Chat
from tests.load.bench.service import numbered, prompt
from tests.support.stack import Stack


class Round(Struct, frozen=True):
    """What came of it. gaps: of all clients; own_gaps: those of the stream without the server. Times in ms, CPU in s."""

    gaps: list[float]
    own_gaps: list[float]
    first_tokens: list[float]
    whole: int
    wrong_tokens: int
    api_cpu: float
    executor_cpu: float


class Heard(Struct):
    """What one client hears. Mutable: all of it."""

    tokens: list[str]
    times: list[float]
    ended: bool = False


async def side_by_side(stack: Stack, service_url: str, streams: int, tokens: int, per_second: int) -> Round:
    """Open so many streams at once and read each to its end. The stack must be at rest."""
    pids = stack.api.pid, stack.executors[0].pid
    heard = [Heard([], []) for _ in range(streams)]
    alone = Heard([], [])
    async with AsyncExitStack() as open_connections:
        connections = [await open_connections.enter_async_context(Connection.to(stack.url)) for _ in heard]
        straight = await open_connections.enter_async_context(Connection.to(service_url))
        before = [cpu(pid) for pid in pids]
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(_from_service(straight, prompt(streams, tokens, per_second), alone))
            for number, (connection, ears) in enumerate(zip(connections, heard, strict=True)):
                chat = Chat(prompt(number, tokens, per_second))
                group.create_task(_from_server(connection, stack.headers, chat, ears))
        api_cpu, executor_cpu = (cpu(pid) - used for pid, used in zip(pids, before, strict=True))
    expected = [numbered(number, tokens) for number in range(streams)]
    return Round(
        gaps=[gap for ears in heard for gap in gaps(ears.times)],
        own_gaps=gaps(alone.times),
        first_tokens=[(ears.times[0] - began) * 1000 for ears in heard if ears.times],
        whole=sum(ears.ended for ears in heard),
        wrong_tokens=sum(wrong(ears.tokens, right) for ears, right in zip(heard, expected, strict=True)),
        api_cpu=api_cpu,
        executor_cpu=executor_cpu,
    )


def wrong(heard: list[str], expected: list[str]) -> int:
    """How many places of a stream do not hold the token that belongs there."""
    same = sum(one == other for one, other in zip(heard, expected, strict=False))
    return max(len(heard), len(expected)) - same


async def _from_server(connection: Connection, headers: dict[str, str], chat: Chat, ears: Heard) -> None:
    finish = None
    async for at, data in connection.post("/v1/chat/completions", chat.body(), headers):
        if data is None:
            ears.ended = finish == "stop"
            continue
        assert "error" not in data, data
        choice = data["choices"][0]
        finish = choice["finish_reason"] or finish
        if said := choice["delta"].get("content"):
            ears.tokens.append(said)
            ears.times.append(at)


async def _from_service(connection: Connection, words: str, ears: Heard) -> None:
    body = {"model": "haiku", "max_tokens": 8192, "stream": True, "messages": [{"role": "user", "content": words}]}
    async for at, data in connection.post("/v1/messages", body, {}):
        if data and data["type"] == "content_block_delta":
            ears.times.append(at)
