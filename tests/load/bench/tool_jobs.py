"""Files and commands through the whole server, beside the same command started by subprocess, in turn."""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Mapping

from msgspec import Struct

from tests.load.bench.client import Connection
from tests.load.bench.measure import spread
from tests.load.bench.report import Figure
from tests.support.stack import Stack

COMMANDS = ("true", "ls")
SIZE = 10_000
AT_ONCE = 50


class Times(Struct):
    """Milliseconds of each way, taken in turn. Mutable: all of it."""

    through: dict[str, list[float]]
    plain: dict[str, list[float]]
    read: list[float]

    @classmethod
    def none(cls) -> "Times":
        return cls({name: [] for name in COMMANDS}, {name: [] for name in COMMANDS}, [])

    def figures(self, scenario: str, most: float, most_read: float) -> list[Figure]:
        """What they say together. most, most_read: in ms, of a command and of a file."""
        found: list[Figure] = []
        for name in COMMANDS:
            through, plain = statistics.median(self.through[name]), statistics.median(self.plain[name])
            found += [
                Figure(
                    scenario,
                    f"`{name}` by POST /api/tools/bash",
                    through,
                    at_most=most,
                    note=spread(self.through[name]),
                ),
                Figure(scenario, f"`bash -c {name}` by subprocess", plain, note=spread(self.plain[name])),
                Figure(scenario, f"`{name}` through the server / by subprocess", through / plain, ""),
            ]
        read = statistics.median(self.read)
        return [*found, Figure(scenario, "file of 10 kB by file-read", read, at_most=most_read, note=spread(self.read))]


async def alone(stack: Stack, samples: int) -> Times:
    """One after the other, on one connection. The first of each are not counted."""
    times = Times.none()
    body = {"path": text_file(stack)}
    async with Connection.to(stack.url) as connection:
        for number in range(samples + 3):
            if number == 3:
                times = Times.none()
            for name in COMMANDS:
                times.through[name].append(await _bash(connection, stack.headers, name))
                times.plain[name].append(await _plain(name, str(stack.files)))
            began = time.perf_counter()
            answer = await connection.ask("/api/tools/file-read", body, stack.headers)
            times.read.append((time.perf_counter() - began) * 1000)
            assert answer["size"] == SIZE, answer
    return times


async def at_once(stack: Stack) -> tuple[int, float]:
    """Half commands, half files, all at the same time: how many failed, and the milliseconds until the last was there."""
    body = {"path": text_file(stack)}

    async def one(number: int) -> bool:
        async with Connection.to(stack.url) as connection:
            if number % 2:
                answer = await connection.ask("/api/tools/file-read", body, stack.headers)
                return answer.get("size") == SIZE
            answer = await connection.ask("/api/tools/bash", {"command": "ls"}, stack.headers)
            return answer.get("returncode") == 0

    began = time.perf_counter()
    right = await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    return right.count(False), (time.perf_counter() - began) * 1000


def text_file(stack: Stack) -> str:
    """A file of so many bytes that the tools may read."""
    path = stack.files / "ten.txt"
    path.write_text(("x" * 99 + "\n") * (SIZE // 100))
    return str(path)


async def _bash(connection: Connection, headers: Mapping[str, str], command: str) -> float:
    began = time.perf_counter()
    answer = await connection.ask("/api/tools/bash", {"command": command}, headers)
    took = (time.perf_counter() - began) * 1000
    assert answer["returncode"] == 0, answer
    return took


async def _plain(command: str, folder: str) -> float:
    return await asyncio.to_thread(_run, command, folder)


def _run(command: str, folder: str) -> float:
    began = time.perf_counter()
    arguments = ["/bin/bash", "--noprofile", "--norc", "-c", command]
    subprocess.run(arguments, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000
