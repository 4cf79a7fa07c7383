"""One soak: clients and mischief for so long, then rest, then what is left of it."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from math import inf

import psutil
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from api.core.dialect_names import Dialect
from tests.load.soak.faults import Killer, Script
from tests.load.soak.load import ALL, Ask, Client
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack, count_descriptors, wait_until

# Dialects that have no jobs but turns; the others have jobs on files and commands too, which no metric of ours counts.
ONLY_TURNS: set[Dialect] = {"chat", "responses", "messages"}
MIB = 1024 * 1024
# REQUEST_TIMEOUT ends what stalls.
SETTINGS = {"MAX_CONCURRENT": "4", "MAX_QUEUE": "32", "QUEUE_TIMEOUT": "20", "DRAIN_TIMEOUT": "1"}
REQUEST_TIMEOUT = "20"
DISCONNECT_RATE = 0.1
# What memory may grow by: allocators keep some of what the busiest moment needed.
GROWTH = 40 * MIB


class Plan(Struct, frozen=True):
    """How it is done.

    seconds, requests: whichever is reached first; None has no end. trouble: of so many answers of the service. every: so
    many requests somebody is killed.
    """

    clients: int
    seconds: float | None = None
    requests: int | None = None
    seed: int = 6
    trouble: float = 0.1
    every: int = 8


class Held(Struct, frozen=True):
    """What the API holds at rest. memory: bytes. descriptors: without those of its database."""

    memory: int
    descriptors: int
    threads: int


class Report(Struct, frozen=True):
    """What came of it. wrong: sentences, none of which there should be. slowest: seconds."""

    seconds: float
    outcomes: dict[str, dict[str, int]]
    wrong: list[str]
    slowest: float
    kills: dict[str, int]
    replies: dict[str, int]
    before: Held
    after: Held
    left: list[str]

    @property
    def requests(self) -> int:
        return sum(sum(each.values()) for each in self.outcomes.values())


def held(stack: Stack) -> Held:
    """What the API has now."""
    process = psutil.Process(stack.api.pid)
    return Held(process.memory_info().rss, count_descriptors(stack, process), process.num_threads())


async def soak(plan: Plan) -> Report:
    """Do it."""
    script = Script(plan.seed, plan.trouble)
    tools = {"ALLOWED_COMMANDS": "echo,sleep", "MAX_CONCURRENT": "8"}
    outcomes = {ask.__name__: Counter[str]() for ask in ALL}
    wrong: list[str] = []
    slowest = 0.0
    async with (
        Upstream() as upstream,
        Stack(
            upstream.url, executors=2, settings=SETTINGS, api_settings={"REQUEST_TIMEOUT": REQUEST_TIMEOUT}, tools=tools
        ) as stack,
    ):
        (stack.files / "notes.txt").write_text("one\ntwo\n")
        chance = random.Random(plan.seed)
        numbers = itertools.count()
        killer = Killer(stack, plan.seed)

        async def one(ask: Ask, client: Client, *, stream: bool) -> None:
            nonlocal slowest
            began = time.monotonic()
            try:
                outcomes[ask.__name__][await ask(client, f"number {next(numbers)}", stream)] += 1
            except Exception as fault:  # noqa: BLE001 # the report has it
                wrong.append(f"{ask.__name__}{' streamed' if stream else ''}: {type(fault).__name__}: {fault}"[:2000])
            slowest = max(slowest, time.monotonic() - began)

        def over() -> bool:
            return spent() > (plan.seconds or inf) or next(numbers_sent) > (plan.requests or inf)

        async def work() -> None:
            client = Client(stack, random.Random(chance.random()), DISCONNECT_RATE)
            try:
                while not over():
                    await one(chance.choice(ALL), client, stream=chance.random() < 0.5)
                    killer.count(plan.every)
            finally:
                await client.http.aclose()

        # Everything is used once, by nobody's mischief, so that what is loaded late is loaded.
        upstream.script(Script(plan.seed, 0))
        warm = Client(stack, chance, 0)
        for ask, stream in itertools.product(ALL, (False, True)):
            await one(ask, warm, stream=stream)
        await warm.http.aclose()
        await rest(stack)
        before = held(stack)

        upstream.script(script)
        start, numbers_sent = time.monotonic(), itertools.count()

        def spent() -> float:
            return time.monotonic() - start

        killing = asyncio.create_task(killer.run())
        await asyncio.gather(*(work() for _ in range(plan.clients)))
        seconds = spent()
        await ended(killing, killer, stack)
        upstream.script(Script(plan.seed, 0))
        await rest(stack)
        after = await settled(stack, before)
        left = await left_by(killer)
        wrong += await missed(stack)
        wrong += tracebacks(stack.read_logs())
    return Report(
        seconds,
        {name: dict(counted) for name, counted in outcomes.items()},
        wrong,
        slowest,
        killer.kills,
        script.replies,
        before,
        after,
        left,
    )


async def ended(killing: asyncio.Task[None], killer: Killer, stack: Stack) -> None:
    """Everybody whose turn it was is killed, nobody is any more, and whoever was is back."""
    done = asyncio.create_task(killer.done())
    await asyncio.wait({killing, done}, return_when=asyncio.FIRST_COMPLETED)
    for task in (killing, done):
        task.cancel()
    await asyncio.wait({killing, done})
    if not killing.cancelled():
        killing.result()
    for program in stack.programs():
        if program.process is None or program.process.returncode is not None:
            await program.start()


async def left_by(killer: Killer) -> list[str]:
    """The processes that nobody has any more, once those that were ended have had their time."""
    killer.look()
    with contextlib.suppress(TimeoutError):
        await wait_until(lambda: not killer.left())
    return [str(process) for process in killer.left()]


def tracebacks(logs: str) -> list[str]:
    """The first one, with what is around it."""
    at = logs.find("Traceback")
    return [] if at < 0 else [f"a traceback is in the logs:\n{logs[max(0, at - 500) : at + 2500]}"]


async def missed(stack: Stack) -> list[str]:
    """Where the ledger has not written down every turn that ended, to the last: it is asked until it has caught up."""
    problems: list[str] = []

    async def complete() -> bool:
        ended = Counter[str]()
        for family in text_string_to_metric_families((await stack.client.get("/metrics")).text):
            for sample in family.samples:
                if sample.name == "claude_api_jobs_total" and sample.labels["dialect"] in ONLY_TURNS:
                    ended[sample.labels["dialect"]] += int(sample.value)
        rows = (await stack.client.get("/api/usage", params={"by": "dialect"})).json()["rows"]
        written = {row["dialect"]: row["jobs"] for row in rows if row["dialect"] in ONLY_TURNS}
        same = written == dict(ended) and written.keys() == ONLY_TURNS
        problems[:] = [] if same else [f"the ledger has {written}, and {dict(ended)} ended"]
        return not problems

    with contextlib.suppress(TimeoutError):
        await wait_until(complete)
    return problems


async def rest(stack: Stack) -> None:
    """Wait until every program serves and has nothing to do."""
    await stack.wait_until_ready()
    await stack.wait_until_idle()


async def settled(stack: Stack, before: Held) -> Held:
    """What the API has once it has no more than before, if it comes to that; else what it has in the end.

    A connection is gone a moment after its answer, and memory when the allocator sees fit.
    """

    def is_as_before() -> bool:
        now = held(stack)
        return now.descriptors <= before.descriptors and now.memory - before.memory < GROWTH

    with contextlib.suppress(TimeoutError):
        await wait_until(is_as_before)
    return held(stack)
