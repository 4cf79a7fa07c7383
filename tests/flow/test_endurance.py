"""A hundred requests in a row leave nothing behind: no process, no file, no descriptor."""

import contextlib

import psutil
import pytest

from tests.chat import answered, ask, streamed, text_of
from tests.scripted.upstream import Received, Says, Upstream
from tests.stack import Stack, until

ROUNDS = 100


def echo(received: Received) -> Says:
    return Says(("You said: ", received.conversation[-1]["content"][-1]["text"]))


async def traces(stack: Stack) -> dict[str, object]:
    """What programs at rest hold."""
    await stack.idle()
    processes = [psutil.Process(program.pid) for program in (stack.api, *stack.executors)]
    return {
        # But for those of the database, whose pool opens a second connection when two things are to be done at once.
        "descriptors": [process.num_fds() - of_database(stack, process) for process in processes],
        "processes": [len(process.children(recursive=True)) for process in processes],
        "threads": [process.num_threads() <= 40 for process in processes],
        "files": sorted(path.relative_to(stack.folder).parts[:2] for path in stack.run_dir.iterdir()),
        "private folders": len(list(stack.run_dir.glob("*.work/*"))),
    }


def of_database(stack: Stack, process: psutil.Process) -> int:
    return sum(file.path.startswith(str(stack.folder / "data" / "server.db")) for file in process.open_files())


async def one(stack: Stack, number: int) -> None:
    said = f"request {number}"
    if number % 2:
        assert answered(await ask(stack, said)) == f"You said: {said}"
    else:
        assert text_of(await streamed(stack, said)) == f"You said: {said}"


@pytest.mark.timeout(300)
async def test_a_hundred_requests_leave_nothing_behind(upstream: Upstream):
    """Streamed and not."""
    upstream.script(echo)
    async with Stack(upstream.url) as stack:
        for number in range(4):
            await one(stack, number)
        before = await traces(stack)
        for number in range(ROUNDS):
            await one(stack, number)

        async def as_before() -> bool:
            return await traces(stack) == before

        # A connection is gone a moment after its answer.
        with contextlib.suppress(TimeoutError):
            await until(as_before, 30)
        assert await traces(stack) == before
        assert len(upstream.requests) == ROUNDS + 4
