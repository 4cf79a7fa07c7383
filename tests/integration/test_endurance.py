"""Many requests in a row leave nothing behind: no process, no file, no descriptor."""

import contextlib

import psutil
import pytest

from tests.support.chat import collect_chunks, join_text, parse_text, send_chat
from tests.support.examples import count_examples
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.stack import Stack, count_descriptors, wait_until

ROUNDS = count_examples(10, 100)


def echo(received: ReceivedRequest) -> AnswerReply:
    return AnswerReply(("You said: ", received.conversation[-1]["content"][-1]["text"]))


# Pools of threads grow to their limit, 40 for anyio's, whatever is done with them.
MOST_THREADS = 80


async def traces(stack: Stack) -> dict[str, list[int]]:
    """What programs at rest hold."""
    await stack.wait_until_idle()
    processes = [psutil.Process(program.pid) for program in (stack.api, *stack.executors)]
    return {
        "descriptors": [count_descriptors(stack, process) for process in processes],
        "processes": [len(process.children(recursive=True)) for process in processes],
        "threads": [max(MOST_THREADS, process.num_threads()) for process in processes],
        "files": [len(list(stack.run_dir.iterdir())), len(list(stack.run_dir.glob("*.work/*")))],
    }


def more(before: dict[str, list[int]], now: dict[str, list[int]]) -> dict[str, list[int]]:
    """What has grown."""
    return {name: held for name, held in now.items() if any(n > b for n, b in zip(held, before[name], strict=True))}


async def one(stack: Stack, number: int) -> None:
    prompt = f"request {number}"
    if number % 2:
        assert parse_text(await send_chat(stack, prompt)) == f"You said: {prompt}"
    else:
        assert join_text(await collect_chunks(stack, prompt)) == f"You said: {prompt}"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_many_requests_leave_nothing_behind(upstream: Upstream):
    """Streamed and not."""
    upstream.script(echo)
    async with Stack(upstream.url) as stack:
        for number in range(4):
            await one(stack, number)
        before = await traces(stack)
        for number in range(ROUNDS):
            await one(stack, number)

        async def as_before() -> bool:
            return not more(before, await traces(stack))

        # A connection is gone a moment after its answer.
        with contextlib.suppress(TimeoutError):
            await wait_until(as_before)
        assert more(before, await traces(stack)) == {}
        assert len(upstream.requests) == ROUNDS + 4
