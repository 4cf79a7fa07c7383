"""Who is answered, who waits, who is turned away: always before the first byte."""

import asyncio
from collections import Counter

import pytest

from tests.support.chat import Json, collect_chunks, join_text, open_stream, parse_error, parse_text, send_chat
from tests.support.scripted.upstream import AnswerReply, GatedReply, ReceivedRequest, StalledReply, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT


async def loads(stack: Stack) -> list[tuple[int, int]]:
    """How many run and wait in each executor."""
    health = await stack.fetch_health()
    assert health
    return [(executor["running"], executor["waiting"]) for executor in health["executors"]]


def get_prompt(received: ReceivedRequest) -> str:
    """The last words of the client's."""
    return received.conversation[-1]["content"][-1]["text"]


def echo(received: ReceivedRequest) -> AnswerReply:
    """An answer that tells whose it is."""
    return AnswerReply(("You said: ", get_prompt(received)))


@pytest.mark.parametrize("stream", [True, False])
async def test_when_all_slots_are_taken_one_waits_and_the_next_is_refused(
    single_slot_stack: Stack, upstream: Upstream, *, stream: bool
):
    """429 with a time to come back, as JSON also where a stream was asked for; who waited is answered in turn."""
    upstream.script(StalledReply(1), echo)
    async with asyncio.timeout(TEST_TIMEOUT), open_stream(single_slot_stack, "first") as first:
        await first.read_text()
        second = asyncio.create_task(send_chat(single_slot_stack, "second"))

        async def is_full() -> bool:
            return await loads(single_slot_stack) == [(1, 1)]

        await wait_until(is_full)
        third = await send_chat(single_slot_stack, "third", stream=stream)
        error = parse_error(third)
        assert (third.status_code, error["code"], error["type"]) == (429, "queue_full", "rate_limit_error")
        assert int(third.headers["retry-after"]) >= 1
        assert third.headers["x-should-retry"] == "true"
        assert not second.done()
        await upstream.release()
        await first.read_rest()
        assert parse_text(await second) == "You said: second"
    assert [get_prompt(received) for received in upstream.requests] == ["first", "second"]


async def test_a_request_that_waits_too_long_is_refused(upstream: Upstream):
    """QUEUE_TIMEOUT, also before any byte; the place in the queue is free again."""
    upstream.script(StalledReply(1))
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "2", "QUEUE_TIMEOUT": "0.3"}
    async with (
        Stack(upstream.url, settings=settings) as stack,
        asyncio.timeout(TEST_TIMEOUT),
        open_stream(stack) as first,
    ):
        await first.read_text()
        for response in await asyncio.gather(send_chat(stack, stream=True), send_chat(stack)):
            assert (response.status_code, parse_error(response)["code"]) == (429, "queue_timeout")
            assert int(response.headers["retry-after"]) >= 1

        async def is_alone() -> bool:
            return await loads(stack) == [(1, 0)]

        await wait_until(is_alone)
        await upstream.release()
        await first.read_rest()
    assert len(upstream.requests) == 1


async def test_a_burst_larger_than_the_pool_is_answered_correctly(stack: Stack, upstream: Upstream):
    """Eight at once, one idle process, four slots: each client gets the answer to its own request."""
    upstream.script(echo)

    async def one(number: int) -> None:
        prompt = f"client {number}"
        if number % 2:
            assert parse_text(await send_chat(stack, prompt)) == f"You said: {prompt}"
        else:
            assert join_text(await collect_chunks(stack, prompt)) == f"You said: {prompt}"

    async with asyncio.timeout(TEST_TIMEOUT):
        await asyncio.gather(*(one(number) for number in range(8)))
    assert Counter(get_prompt(received) for received in upstream.requests) == Counter(f"client {n}" for n in range(8))
    await stack.wait_until_idle()


async def test_two_executors_share_the_load(upstream: Upstream):
    """One place each and no queue: two are answered at once, the third is turned away by both."""
    upstream.script(GatedReply(("hi",)))
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "0"}
    async with (
        Stack(upstream.url, executors=2, settings=settings) as stack,
        asyncio.timeout(TEST_TIMEOUT),
        open_stream(stack) as first,
        open_stream(stack) as second,
    ):
        await upstream.wait_until(lambda: upstream.answering == 2)
        assert await loads(stack) == [(1, 0), (1, 0)]
        third = await send_chat(stack)
        assert (third.status_code, parse_error(third)["code"]) == (429, "queue_full")
        await upstream.release()
        assert [join_text(await stream.read_rest()) for stream in (first, second)] == ["hi", "hi"]

        async def are_free() -> bool:
            return await loads(stack) == [(0, 0), (0, 0)]

        await wait_until(are_free)
        upstream.script(echo)
        assert parse_text(await send_chat(stack, "again")) == "You said: again"


async def test_concurrent_streams_do_not_mix(stack: Stack, upstream: Upstream):
    """Three at a time, delta by delta: each client gets its own words.

    The fourth slot is reserved for another key as soon as a test has added one to the shared programs.
    """

    def own(received: ReceivedRequest) -> GatedReply:
        return GatedReply([f"{get_prompt(received)}.{number} " for number in range(5)])

    upstream.script(own)

    async def one(name: str) -> list[Json]:
        return await collect_chunks(stack, name)

    # A group: a request that fails ends the test at once with its reason, and none goes on after it.
    async with asyncio.timeout(TEST_TIMEOUT), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name)) for name in "abc"]
        await upstream.wait_until(lambda: upstream.answering == 3)
        for _ in range(5):
            await upstream.wait_until(lambda: len(upstream.held) == 3)
            await upstream.release()
    texts = [join_text(task.result()) for task in tasks]
    assert texts == ["".join(f"{name}.{number} " for number in range(5)) for name in "abc"]
