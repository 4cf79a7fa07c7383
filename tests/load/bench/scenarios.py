"""The scenarios: each a function that measures one thing and gives its figures. A new one is a function and a place in ALL."""

import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable

from tests.load.bench import paths
from tests.load.bench.client import Connection
from tests.load.bench.confined import sandboxed
from tests.load.bench.conversations import measure_conversations
from tests.load.bench.environment import Bench, resting
from tests.load.bench.keys import Knocking, added
from tests.load.bench.measure import memory, percentile, quiet, spread
from tests.load.bench.race import race
from tests.load.bench.report import Figure
from tests.load.bench.service import prompt
from tests.load.bench.streams import Round, side_by_side
from tests.load.bench.tool_jobs import AT_ONCE, alone, at_once
from tests.support.stack import Stack

SAMPLES = 20
DEEDS = 50
TOOLS = 20
SERVED_BEFORE_REST = 10
JOBS, KNOCKED = 2000, 4
STREAMS, TOKENS, PER_SECOND, ROUNDS = 16, 150, 50, 3

type Scenario = Callable[[Bench], Awaitable[list[Figure]]]


async def first_token(bench: Bench) -> list[Figure]:
    """How soon the first words come, against what wrappers do and against the CLI itself."""
    name = "first token"
    return (await race(bench, paths.Chat(prompt()), name, SAMPLES)).figures(name, of_fresh=0.30, most_added=5)


async def first_token_with_tools(bench: Bench) -> list[Figure]:
    """The same with tools on offer, against a plain CLI that has none."""
    name = f"first token with {TOOLS} tools"
    chat = paths.Chat(prompt(), tools=TOOLS)
    return (await race(bench, chat, name, SAMPLES)).figures(name, of_fresh=0.45)


async def conversations(bench: Bench) -> list[Figure]:
    """What a held CLI process saves in a conversation that goes on."""
    return await measure_conversations(bench, "conversations")


async def streams(bench: Bench) -> list[Figure]:
    """Many answers at a natural pace, side by side."""
    name = f"{STREAMS} streams at {PER_SECOND} tokens a second"
    rounds: list[Round] = []
    async with bench.stack(pool_size=STREAMS, MAX_CONCURRENT=str(STREAMS)) as stack:
        for number in range(ROUNDS):
            bench.say(f"{name}: {number + 1} of {ROUNDS}: {STREAMS} CLIs park, then say {TOKENS} tokens each")
            await resting(stack, STREAMS)
            rounds.append(await side_by_side(stack, str(bench.launch.base_url), STREAMS, TOKENS, PER_SECOND))
    thousands = STREAMS * TOKENS * ROUNDS / 1000
    seen = [gap for of in rounds for gap in of.gaps]
    own = [gap for of in rounds for gap in of.own_gaps]
    median, own_median = statistics.median(seen), statistics.median(own)
    api = sum(of.api_cpu for of in rounds) / thousands
    executor = sum(of.executor_cpu for of in rounds) / thousands
    first = [took for of in rounds for took in of.first_tokens]
    incomplete = STREAMS * ROUNDS - sum(of.whole for of in rounds)
    return [
        Figure(name, "streams not complete", incomplete, "", at_most=0, note=f"of {STREAMS * ROUNDS}"),
        Figure(name, "tokens lost or out of order", sum(of.wrong_tokens for of in rounds), "", at_most=0),
        Figure(name, "gap off the service's own, median", abs(median / own_median - 1) * 100, "%", at_most=10),
        Figure(name, "gap at the client, median", median, note=f"service {own_median:.2f}"),
        Figure(name, "gap at the client, p99", percentile(seen, 99), note=f"service {percentile(own, 99):.1f}"),
        Figure(name, "CPU per 1,000 deltas", api + executor, "s", note=f"API {api:.2f}, executor {executor:.2f}"),
        Figure(name, "first token, all at once, median", statistics.median(first), note=spread(first)),
    ]


async def rest(bench: Bench) -> list[Figure]:
    """What is held when nothing happens, after some requests."""
    name = "memory at rest"
    bench.say(f"{name}: {SERVED_BEFORE_REST} requests, then a look")
    async with bench.stack(pool_size=2) as stack:
        for _ in range(SERVED_BEFORE_REST):
            await resting(stack, 2)
            async with Connection.to(stack.url) as connection:
                await paths.server(connection, stack.headers, paths.Chat(prompt()))
        await resting(stack, 2)
        pids = {"API": stack.api.pid, "executor": stack.executors[0].pid, "one idle CLI": stack.list_clis()[0].pid}
        held = {who: memory(pid) for who, pid in pids.items()}
    limits = {"API": 110, "executor": 60}
    return [
        Figure(name, who, of.rss, "MB", limits.get(who), f"RSS; PSS {of.pss:.0f}, USS {of.uss:.0f}")
        for who, of in held.items()
    ]


async def sandbox(bench: Bench) -> list[Figure]:
    """What a CLI's sandbox costs it; no request waits for that, since the CLI is idle by then."""
    return await sandboxed(bench, "a CLI's sandbox", SAMPLES)


async def tool_jobs(bench: Bench) -> list[Figure]:
    """Files and commands, in the sandbox, by HTTP."""
    name = "files and commands"
    bench.say(f"{name}: {DEEDS} of each, one after the other, then {AT_ONCE} at once")
    settings = {"LOG_LEVEL": "warning"}
    async with Stack(
        bench.launch.base_url, executors=0, pool_size=0, settings=settings, tools={"ALLOWED_COMMANDS": "ls,true"}
    ) as stack:
        disturbed = not await quiet()
        times = await alone(stack, DEEDS)
        await quiet()
        failed, took = await at_once(stack)
    return [
        *times.figures(name, most=15, most_read=5),
        Figure(name, f"{AT_ONCE} at once: not answered", failed, "", at_most=0, note="half commands, half files"),
        Figure(name, f"{AT_ONCE} at once: until the last", took),
        *([Figure(name, "measured on a busy machine", 1, "")] if disturbed else []),
    ]


async def keys(bench: Bench) -> list[Figure]:
    """What a key's limits and its lines add to a request, and what refused keys add to answers under way."""
    name = "keys, limits and ledger"
    bench.say(f"{name}: {JOBS} jobs through the meter, then {KNOCKED} streams, without and with refused keys")
    disturbed = not await quiet()
    took = await added(bench.folder, JOBS)
    rounds: list[Round] = []
    knocking = Knocking()
    seconds = 0.0
    async with bench.stack(pool_size=KNOCKED, MAX_CONCURRENT=str(KNOCKED)) as stack:
        for knocks in (False, True):
            disturbed |= not await resting(stack, KNOCKED)
            async with knocking.at(stack.url) if knocks else contextlib.nullcontext():
                began = time.perf_counter()
                rounds.append(await side_by_side(stack, str(bench.launch.base_url), KNOCKED, TOKENS, PER_SECOND))
                seconds = time.perf_counter() - began
    before, during = (statistics.median(of.gaps) for of in rounds)
    late, later = (percentile(of.gaps, 99) for of in rounds)
    return [
        Figure(name, "added to a job, median", statistics.median(took), at_most=1, note=spread(took)),
        Figure(name, "keys refused in a second", knocking.refused / seconds, "", note="while answers were under way"),
        Figure(
            name,
            "gap at the clients meanwhile, median, against none",
            abs(during / before - 1) * 100,
            "%",
            at_most=10,
            note=f"{before:.2f} and {during:.2f} ms",
        ),
        Figure(name, "gap at the clients meanwhile, p99", later, note=f"without them {late:.1f}"),
        *([Figure(name, "measured on a busy machine", 1, "")] if disturbed else []),
    ]


ALL: dict[str, Scenario] = {
    "first-token": first_token,
    "tools": first_token_with_tools,
    "conversations": conversations,
    "streams": streams,
    "memory": rest,
    "sandbox": sandbox,
    "tool-jobs": tool_jobs,
    "keys": keys,
}
