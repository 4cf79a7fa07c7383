"""The scripted service as a process of its own, so that its pace does not hang on how busy the clients are.

Invariants: the prompt says what is answered, so one service serves every scenario; each token names its stream and its place.

usage: python -m tests.load.bench.service    prints its URL, and ends when its stdin is closed
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncGenerator

import uvloop

from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.stack import REPOSITORY

PROMPT = re.compile(r"stream (\d+): say (\d+) tokens at (\d+) a second")
CALL_PROMPT = "call the tool"
START_TIMEOUT = 10.0


def prompt(stream: int = 0, tokens: int = 3, per_second: int = 0) -> str:
    """Words that make the service answer so many tokens; 0 a second is as fast as it can."""
    return f"stream {stream}: say {tokens} tokens at {per_second} a second"


def numbered(stream: int, tokens: int) -> list[str]:
    """The tokens of such an answer."""
    return [f"s{stream}t{place} " for place in range(tokens)]


def reply(received: ReceivedRequest) -> AnswerReply:
    """What the last message asks for."""
    if CALL_PROMPT in str(received.conversation[-1]):
        return AnswerReply("", tools=[(f"call_{received.number}", "step", ('{"n":', "1}"))])
    match = PROMPT.search(str(received.conversation[-1]))
    assert match, "not a prompt of the bench"
    stream, tokens, per_second = (int(number) for number in match.groups())
    return AnswerReply(numbered(stream, tokens), per_second=per_second or None)


@contextlib.asynccontextmanager
async def service() -> AsyncGenerator[str]:
    """The URL of a service that runs until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load.bench.service"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(START_TIMEOUT):
            url = (await process.stdout.readline()).decode().strip()
        yield url
    finally:
        process.stdin.close()
        await process.wait()


async def serve() -> None:
    """Serve until stdin is closed."""
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    async with Upstream() as upstream:
        upstream.script(reply)
        print(upstream.url, flush=True)
        await closed.wait()


if __name__ == "__main__":
    uvloop.run(serve())
