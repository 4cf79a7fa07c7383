"""Conversations that go on: a held CLI process against an idle one for each request, and against a new CLI."""

import statistics
import time

import psutil

from tests.load.bench import paths
from tests.load.bench.client import Connection
from tests.load.bench.environment import Bench, resting
from tests.load.bench.measure import memory, spread
from tests.load.bench.report import Figure
from tests.load.bench.service import CALL_PROMPT, prompt
from tests.support.chat import CHAT_PATH, Json
from tests.support.stack import Stack

TURNS, SAMPLE = 100, 30
LOOPS, STEPS = 5, 10
FRESH_SAMPLES = 10
POOL_SIZE = 2
TOOL: Json = {"type": "function", "function": {"name": "step", "parameters": {"type": "object"}}}


async def measure_conversations(bench: Bench, name: str) -> list[Figure]:
    """Measures a conversation of many turns and loops of tool calls, with held processes and without."""
    home = bench.folder / "home"
    home.mkdir(exist_ok=True)
    bench.say(f"{name}: {FRESH_SAMPLES} new CLIs, {TURNS} turns, then {LOOPS} tool loops, held and replayed")
    chat = paths.Chat(prompt())
    fresh = [await paths.fresh(bench.launch, home, chat) for _ in range(FRESH_SAMPLES + 1)][1:]
    walls: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    async with bench.stack(pool_size=POOL_SIZE, HELD_MAX="4") as stack:
        await resting(stack, POOL_SIZE)
        turns = await time_turns(stack)
        await stack.end_held()
        walls["held"], used["held"] = await time_loops(stack)
        held = max((memory(cli.pid) for cli in stack.list_clis()), key=lambda each: each.uss)
    async with bench.stack(pool_size=POOL_SIZE, HELD_MAX="0") as stack:
        walls["replayed"], used["replayed"] = await time_loops(stack)
    second, last = statistics.median(turns[1 : 1 + SAMPLE]), statistics.median(turns[-SAMPLE:])
    wall = {kind: statistics.median(times) for kind, times in walls.items()}
    cpu = {kind: statistics.median(times) for kind, times in used.items()}
    return [
        Figure(name, "first token of a next turn, held", second, note=spread(turns[1:])),
        Figure(name, "held / fresh", second / statistics.median(fresh), "", 0.10, f"fresh {spread(fresh)}"),
        Figure(
            name,
            f"first token, turn {TURNS} / turn 2",
            last / second,
            "",
            1.2,
            f"medians of the first and the last {SAMPLE}",
        ),
        Figure(name, f"tool loop of {STEPS} steps, held", wall["held"], note=spread(walls["held"])),
        Figure(name, "tool loop, held / replayed", wall["held"] / wall["replayed"], "", 0.35),
        Figure(
            name, "CPU of a tool loop, held / replayed", cpu["held"] / cpu["replayed"], "", 0.3, f"{cpu['held']:.2f} s"
        ),
        Figure(name, "memory of a held process", held.uss, "MB", note=f"USS; RSS {held.rss:.0f}"),
    ]


async def time_turns(stack: Stack) -> list[float]:
    """Returns the milliseconds to the first token of each turn of one conversation."""
    messages: list[Json] = []
    times: list[float] = []
    async with Connection.to(stack.url) as connection:
        for _ in range(TURNS):
            messages.append({"role": "user", "content": prompt()})
            pieces: list[str] = []
            began = time.perf_counter()
            body = {"model": "haiku", "messages": messages, "stream": True}
            async for at, data in connection.post(CHAT_PATH, body, stack.headers):
                text = data["choices"][0]["delta"].get("content") if data and data["choices"] else None
                if text and not pieces:
                    times.append((at - began) * 1000)
                if text:
                    pieces.append(text)
            messages.append({"role": "assistant", "content": "".join(pieces)})
    return times


async def time_loops(stack: Stack) -> tuple[list[float], list[float]]:
    """Returns the milliseconds of each loop, and the CPU seconds of executor and CLIs."""
    walls: list[float] = []
    used: list[float] = []
    for _ in range(LOOPS):
        await resting(stack, POOL_SIZE)
        before, began = measure_cpu(stack), time.perf_counter()
        await run_loop(stack)
        walls.append((time.perf_counter() - began) * 1000)
        # The processes that replace used ones start after the answers.
        await resting(stack, POOL_SIZE)
        used.append(measure_cpu(stack) - before)
        await stack.end_held()
    return walls, used


async def run_loop(stack: Stack) -> None:
    """Plays an agent whose every step is one tool call."""
    messages: list[Json] = [{"role": "user", "content": CALL_PROMPT}]
    async with Connection.to(stack.url) as connection:
        for _ in range(STEPS):
            body = {"model": "haiku", "messages": messages, "tools": [TOOL]}
            answer = await connection.ask(CHAT_PATH, body, stack.headers)
            message = answer["choices"][0]["message"]
            messages += [
                message,
                {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": CALL_PROMPT},
            ]


def measure_cpu(stack: Stack) -> float:
    """Returns the CPU seconds of the executor, of its CLIs, and of those that have ended."""
    executor = psutil.Process(stack.executors[0].pid)
    own = executor.cpu_times()
    running = [cli.cpu_times() for cli in executor.children(recursive=True)]
    return sum(own[:4]) + sum(times.user + times.system for times in running)
