"""soak: a mixed load with mischief for some minutes, then hostile input, and a table of what came of it.

usage: python -m tests.load.soak [SECONDS [CLIENTS [SEED]]]    90 seconds, 8 clients, seed 6

Exit status: 0 all was right, 1 something was not.
"""

import asyncio
import sys

from rich.console import Console
from rich.table import Table

from tests.load.soak.fuzz import fuzz
from tests.load.soak.run import GROWTH, MIB, Plan, Report, soak
from tests.support.timeouts import MAX_STALL

# Seconds of hostile input after the load.
FUZZ = 30.0


def shown(report: Report) -> Table:
    """What became of the requests."""
    table = Table("dialect", "right", "error", "gone", title=f"{report.requests} requests in {report.seconds:.0f} s")
    for name, counted in report.outcomes.items():
        table.add_row(name, *(str(counted.get(outcome, 0)) for outcome in ("right", "error", "gone")))
    return table


def main() -> int:
    """Run it and print it."""
    given = [float(each) for each in sys.argv[1:]]
    seconds, clients, seed = [*given, *(90, 8, 6)[len(given) :]]
    report = asyncio.run(soak(Plan(int(clients), seconds, seed=int(seed))))
    console = Console()
    console.print(shown(report))
    console.print(f"the service: {report.replies}; killed: {report.kills}; slowest: {report.slowest:.1f} s")
    for name, one in (("before", report.before), ("after", report.after)):
        console.print(f"{name}: {one.memory / MIB:.0f} MiB, {one.descriptors} descriptors, {one.threads} threads")
    for sentence in (*report.wrong, *report.left):
        console.print("WRONG", sentence, style="red", markup=False)
    fuzzed = asyncio.run(fuzz(FUZZ, int(seed)))
    console.print(f"hostile input: {fuzzed.sent}; an innocent caller's longest wait: {fuzzed.stall * 1000:.0f} ms")
    for sentence in fuzzed.wrong:
        console.print("WRONG", sentence, style="red", markup=False)
    if fuzzed.stall > MAX_STALL:
        console.print(f"WRONG: an innocent caller waits longer than {MAX_STALL * 1000:.0f} ms", style="red")
    grown = report.after.memory - report.before.memory
    return int(
        bool(
            fuzzed.wrong
            or fuzzed.stall > MAX_STALL
            or report.wrong
            or report.left
            or grown > GROWTH
            or report.after.descriptors > report.before.descriptors
        )
    )


if __name__ == "__main__":
    sys.exit(main())
