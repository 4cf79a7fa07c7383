"""What every scenario stands on: the programs to be measured, and the quiet in which they are."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from executor.claude.cli.launch import Launch
from tests.load.bench.measure import quiet
from tests.support.stack import Stack, wait_until

REST_TIMEOUT = 120.0


class Restless(Exception):
    """The server did not come to rest; the message says what to do."""


class Bench(Struct, frozen=True):
    """What a scenario is given. folder: a scratch one. say: tells the person who waits."""

    launch: Launch
    folder: Path
    say: Callable[[str], None]

    def stack(self, pool_size: int, **settings: str) -> Stack:
        """The real programs, before the same service and CLI; `resting` waits until the pool is full.

        The stack's own log level says every step; as operators run it, nothing is logged before an answer ends.
        """
        own = {"LOG_LEVEL": "warning", "CLI_POOL_SIZE": str(pool_size), **settings}
        return Stack(self.launch.base_url, pool_size=0, settings=own)


async def resting(stack: Stack, pool_size: int) -> bool:
    """Wait until the stack has so many idle processes, and nothing runs; False when something that is not ours does."""
    try:
        await wait_until(lambda: _idle(stack, pool_size), REST_TIMEOUT)
    except TimeoutError as error:
        raise Restless(
            f"{pool_size} CLIs did not become idle in {REST_TIMEOUT:.0f} s. Is this machine busy?"
        ) from error
    return await quiet()


async def _idle(stack: Stack, pool_size: int) -> bool:
    health = await stack.fetch_health()
    states = [(one["idle_processes"], one["running"], one["waiting"]) for one in health["executors"]] if health else []
    held = sum(one["held_processes"] for one in health["executors"]) if health else 0
    return states == [(pool_size, 0, 0)] and len(stack.list_clis()) == pool_size + held
