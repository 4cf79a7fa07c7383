"""What the sandbox costs a CLI: from its start to its introduction, with it and without, one after the other."""

import statistics
import time

from msgspec import structs

from executor.claude.cli.handshake import fetch_cli_info
from executor.claude.cli.launch import Launch
from executor.claude.cli.process import CliProcess
from executor.claude.cli.sandbox import CliSandbox
from executor.sandbox.landlock import Rules
from tests.load.bench.environment import Bench
from tests.load.bench.measure import quiet, spread
from tests.load.bench.report import Figure


async def sandboxed(bench: Bench, name: str, samples: int) -> list[Figure]:
    """The two medians and what lies between them."""
    free = structs.replace(bench.launch, sandbox=CliSandbox(Rules()))
    confined: list[float] = []
    unconfined: list[float] = []
    for number in range(samples):
        bench.say(f"{name}: {number + 1} of {samples}: a CLI in its sandbox, and one without")
        await quiet()
        # The order changes, so that neither always finds the machine as the other left it.
        for launch, took in [(bench.launch, confined), (free, unconfined)][:: 1 if number % 2 else -1]:
            took.append(await _introduction(bench, launch))
    within, without = statistics.median(confined), statistics.median(unconfined)
    return [
        Figure(name, "CLI ready, in its sandbox", within, note=spread(confined)),
        Figure(name, "CLI ready, without one", without, note=spread(unconfined)),
        Figure(name, "added by the sandbox", within - without, at_most=20),
    ]


async def _introduction(bench: Bench, launch: Launch) -> float:
    began = time.perf_counter()
    process = await CliProcess.start(launch, bench.folder)
    try:
        await fetch_cli_info(process)
        return (time.perf_counter() - began) * 1000
    finally:
        await process.clean_up()
