"""Who is answered, who waits, who is turned away: always before the first byte."""

import asyncio
from collections import Counter

import pytest

from tests.support.chat import Json, answered, ask, error_of, streamed, streaming, text_of
from tests.support.scripted.upstream import Gated, Received, Says, Stalls, Upstream
from tests.support.stack import Stack, until
from tests.support.timeouts import BOUND


async def loads(stack: Stack) -> list[tuple[int, int]]:
    """How many run and wait in each executor."""
    health = await stack.health()
    assert health
    return [(executor["running"], executor["waiting"]) for executor in health["executors"]]


def asked(received: Received) -> str:
    """The last words of the client's."""
    return received.conversation[-1]["content"][-1]["text"]


def echo(received: Received) -> Says:
    """An answer that tells whose it is."""
    return Says(("You said: ", asked(received)))


@pytest.mark.parametrize("stream", [True, False])
async def test_when_all_places_are_taken_one_waits_and_the_next_is_turned_away(
    narrow: Stack, upstream: Upstream, *, stream: bool
):
    """429 with a time to come back, as JSON also where a stream was asked for; who waited is answered in turn."""
    upstream.script(Stalls(1), echo)
    async with asyncio.timeout(BOUND), streaming(narrow, "first") as first:
        await first.text()
        second = asyncio.create_task(ask(narrow, "second"))

        async def is_full() -> bool:
            return await loads(narrow) == [(1, 1)]

        await until(is_full)
        third = await ask(narrow, "third", stream=stream)
        error = error_of(third)
        assert (third.status_code, error["code"], error["type"]) == (429, "queue_full", "rate_limit_error")
        assert int(third.headers["retry-after"]) >= 1
        assert third.headers["x-should-retry"] == "true"
        assert not second.done()
        await upstream.release()
        await first.rest()
        assert answered(await second) == "You said: second"
    assert [asked(received) for received in upstream.requests] == ["first", "second"]


async def test_who_waits_too_long_is_turned_away(upstream: Upstream):
    """QUEUE_TIMEOUT, also before any byte; the place in the queue is free again."""
    upstream.script(Stalls(1))
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "2", "QUEUE_TIMEOUT": "0.3"}
    async with Stack(upstream.url, settings=settings) as stack, asyncio.timeout(BOUND), streaming(stack) as first:
        await first.text()
        for response in await asyncio.gather(ask(stack, stream=True), ask(stack)):
            assert (response.status_code, error_of(response)["code"]) == (429, "queue_timeout")
            assert int(response.headers["retry-after"]) >= 1

        async def is_alone() -> bool:
            return await loads(stack) == [(1, 0)]

        await until(is_alone)
        await upstream.release()
        await first.rest()
    assert len(upstream.requests) == 1


async def test_a_burst_over_what_is_parked_is_answered_right(stack: Stack, upstream: Upstream):
    """Eight at once, one parked, four places: everyone gets the answer to what they asked."""
    upstream.script(echo)

    async def one(number: int) -> None:
        said = f"client {number}"
        if number % 2:
            assert answered(await ask(stack, said)) == f"You said: {said}"
        else:
            assert text_of(await streamed(stack, said)) == f"You said: {said}"

    async with asyncio.timeout(BOUND):
        await asyncio.gather(*(one(number) for number in range(8)))
    assert Counter(asked(received) for received in upstream.requests) == Counter(f"client {n}" for n in range(8))
    await stack.idle()


async def test_two_executors_share_the_load(upstream: Upstream):
    """One place each and no queue: two are answered at once, the third is turned away by both."""
    upstream.script(Gated(("hi",)))
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "0"}
    async with (
        Stack(upstream.url, executors=2, settings=settings) as stack,
        asyncio.timeout(BOUND),
        streaming(stack) as first,
        streaming(stack) as second,
    ):
        await upstream.until(lambda: upstream.answering == 2)
        assert await loads(stack) == [(1, 0), (1, 0)]
        third = await ask(stack)
        assert (third.status_code, error_of(third)["code"]) == (429, "queue_full")
        await upstream.release()
        assert [text_of(await stream.rest()) for stream in (first, second)] == ["hi", "hi"]

        async def are_free() -> bool:
            return await loads(stack) == [(0, 0), (0, 0)]

        await until(are_free)
        upstream.script(echo)
        assert answered(await ask(stack, "again")) == "You said: again"


async def test_streams_under_way_at_once_keep_to_themselves(stack: Stack, upstream: Upstream):
    """Four at a time, delta by delta: no word strays."""

    def own(received: Received) -> Gated:
        return Gated([f"{asked(received)}.{number} " for number in range(5)])

    upstream.script(own)

    async def one(name: str) -> list[Json]:
        return await streamed(stack, name)

    async with asyncio.timeout(BOUND):
        tasks = [asyncio.create_task(one(name)) for name in "abcd"]
        await upstream.until(lambda: upstream.answering == 4)
        for _ in range(5):
            await upstream.until(lambda: len(upstream.held) == 4)
            await upstream.release()
        texts = [text_of(chunks) for chunks in await asyncio.gather(*tasks)]
    assert texts == ["".join(f"{name}.{number} " for number in range(5)) for name in "abcd"]
