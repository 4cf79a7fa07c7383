"""What the kernel knows of processes, and what numbers say together."""

import asyncio
import itertools
import statistics
from collections.abc import Sequence

import psutil
from msgspec import Struct

MB = 1_000_000
QUIET_FOR = 0.25
QUIET_BELOW = 0.08
QUIET_ATTEMPTS = 8


class Memory(Struct, frozen=True):
    """In megabytes. pss: shared pages divided among those who share them; uss: what would be free without it."""

    rss: float
    pss: float
    uss: float


def memory(pid: int) -> Memory:
    """What a process holds."""
    full = psutil.Process(pid).memory_full_info()
    return Memory(full.rss / MB, full.pss / MB, full.uss / MB)


def cpu(pid: int) -> float:
    """The CPU seconds a process used so far, without its children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def quiet() -> bool:
    """Wait until nothing on this machine uses the CPU, since a CLI still has things to do after it said that it is ready.

    False when that did not come in time: something that is none of ours is running.
    """
    for _ in range(QUIET_ATTEMPTS):
        before = psutil.cpu_times()
        await asyncio.sleep(QUIET_FOR)
        after = psutil.cpu_times()
        if 1 - (after.idle - before.idle) / (sum(after) - sum(before)) < QUIET_BELOW:
            return True
    return False


def gaps(times: Sequence[float]) -> list[float]:
    """The times between one and the next, in milliseconds."""
    return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(times)]


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(values: Sequence[float]) -> str:
    """The middle half of some values, in words."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"middle half {low:.1f} to {high:.1f}, n = {len(values)}"
