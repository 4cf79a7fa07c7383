"""The paths to a first token, against each other."""

import statistics
from functools import partial

from msgspec import Struct

from tests.load.bench import paths
from tests.load.bench.client import Connection
from tests.load.bench.environment import Bench, resting
from tests.load.bench.measure import spread
from tests.load.bench.report import Figure

# Percent; a median bears this many that were taken on a busy machine.
DISTURBED = 20


class Race(Struct):
    """Milliseconds to the first words of one chat on each path, taken in turn. Mutable: all of it."""

    fresh: list[float] = []
    direct: list[float] = []
    server: list[float] = []
    disturbed: int = 0

    def figures(self, scenario: str, of_fresh: float, most_added: float | None = None) -> list[Figure]:
        """What they say together. of_fresh: the most that the server may take, as a part of what a fresh CLI takes. most_added: in ms."""
        fresh, direct, server = (statistics.median(times) for times in (self.fresh, self.direct, self.server))
        disturbed = 100 * self.disturbed / (3 * len(self.fresh))
        pairs = [through - without for through, without in zip(self.server, self.direct, strict=True)]
        return [
            Figure(scenario, "fresh `claude -p` for every request", fresh, note=spread(self.fresh)),
            Figure(scenario, "idle CLI, driven directly", direct, note=spread(self.direct)),
            Figure(scenario, "idle CLI, through the server", server, note=spread(self.server)),
            Figure(scenario, "through the server / fresh", server / fresh, "", at_most=of_fresh),
            Figure(
                scenario,
                "added by API and executor",
                server - direct,
                at_most=most_added,
                note=f"in pairs: {spread(pairs)}",
            ),
            Figure(
                scenario, "taken while something else ran", disturbed, "%", DISTURBED, "above it, these mean little"
            ),
        ]


async def race(bench: Bench, chat: paths.Chat, label: str, samples: int) -> Race:
    """Take the paths in turn, so that the machine's moods meet them all alike, and each with nothing else running.

    Both idle CLIs have the same age: each waits from the beginning of the round. Who of them goes first changes with every round.
    """
    home = bench.folder / "home"
    home.mkdir(exist_ok=True)
    times = Race()
    async with bench.stack(pool_size=1) as stack:
        for number in range(samples + 1):
            async with (
                paths.start_idle_cli(bench.launch, bench.folder) as process,
                Connection.to(stack.url) as connection,
            ):
                fresh = times.fresh, partial(paths.fresh, bench.launch, home, chat)
                direct = times.direct, partial(paths.direct, process, chat)
                server = times.server, partial(paths.server, connection, stack.headers, chat)
                for took, run in (fresh, direct, server) if number % 2 else (fresh, server, direct):
                    times.disturbed += not await resting(stack, 1)
                    took.append(await run())
            if number == 0:  # the first of each reads files that the later ones find in memory
                times = Race()
            else:
                last = f"fresh {times.fresh[-1]:.0f}, idle {times.direct[-1]:.1f}, server {times.server[-1]:.1f} ms"
                bench.say(f"{label}: {number} of {samples}: {last}")
    return times
