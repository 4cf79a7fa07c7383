"""Hostile input by a seed, for so long: HTTP bytes, shell text, schemas and JSON shapes, beside one innocent caller.

Invariants: every answer is one of HTTP's, no program ends, and the innocent caller never waits longer than `LONGEST_STALL`.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import httpx2
from msgspec import Struct

from tests.load.soak.faults import Script
from tests.support.latency_probe import measure_latency
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack

PATIENCE = 5.0
LARGEST = 20_000
WORDS = (
    "a",
    "$(",
    ")",
    "((",
    "`",
    "'",
    '"',
    "<<E\n",
    "E\n",
    "&&",
    "||",
    ";",
    "|",
    "{",
    "}",
    "a=(",
    "$((",
    "${",
    "\\",
    "\n",
)
PATTERNS = (
    "^(a+)+$",
    "(a|a)*b",
    "[\u0100-\uffff]+",
    "a{1,4294967295}",
    "(?i)[a-z]*",
    "(.*)*x",
    "\\p{L}+",
    "(?=(a+))a*b",
)
METHODS = (b"GET", b"POST", b"PUT", b"OPTIONS", b"CONNECT", b"\x00", b"get")
HEADERS = (
    *(b"Host: a", b"Host: b", b"Content-Length: 5", b"Content-Length: 99999999999", b"Content-Length: -1"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Upgrade: h2c", b"Connection: upgrade"),
    *(b"Expect: 100-continue", b" folded: x", b"X: " + b"y" * 3000, b": none", b"Connection: close"),
)


class Fuzzed(Struct, frozen=True):
    """What came of it. stall: the innocent caller's longest wait, in seconds, without waiting for a processor."""

    sent: dict[str, int]
    stall: float
    wrong: list[str]


def shell_text(chance: random.Random) -> str:
    """Pieces of a shell's grammar, some of them nested deeply."""
    piece = "".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 8)))
    return (piece * chance.randrange(1, LARGEST // len(piece)))[:LARGEST]


def schema(chance: random.Random) -> Any:
    """A schema whose references branch, nest or go round, or with a pattern that some engines take for ever over."""
    depth = chance.randrange(1, 40)
    match chance.randrange(4):
        case 0:
            defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{(n + 1) % depth}"}] * 2} for n in range(depth)}
            return {"$defs": defs, "allOf": [{"$ref": "#/$defs/d0"}]}
        case 1:
            return {"type": "object", "properties": {"a": {"type": "string", "pattern": chance.choice(PATTERNS)}}}
        case 2:
            return shape(chance, {"type": "object"})
        case _:
            return {"type": "object", "properties": {f"p{n}": {"enum": list(range(n))} for n in range(depth * 5)}}


def shape(chance: random.Random, innermost: Any) -> Any:
    """JSON that is deep, wide, or of numbers that nobody has."""
    made = innermost
    for _ in range(chance.randrange(1, 400)):
        made = chance.choice(([made], {"a": made}, {"anyOf": [made]}, [made, 10**400, -1.5e300, "\ud800", ""]))
    return made


def http_bytes(chance: random.Random) -> bytes:
    """A head, or what looks like one."""
    lines = [chance.choice(METHODS) + b" /" + b"x" * chance.randrange(1, 2000) + b" HTTP/1.1"]
    lines += [chance.choice(HEADERS) for _ in range(chance.randrange(12))]
    head = chance.choice((b"\r\n", b"\r\n", b"\n", b"\r")).join(lines) + b"\r\n\r\n"
    return head + chance.randbytes(chance.randrange(200))


def body_of(kind: str, chance: random.Random) -> tuple[str, Any]:
    """Where a request of a kind goes, and what it has."""
    message = [{"role": "user", "content": "Hello!"}]
    match kind:
        case "shell":
            return "/api/tools/bash", {"command": shell_text(chance)}
        case "schema":
            wanted = {"name": "x", "schema": schema(chance), "strict": True}
            return "/v1/chat/completions", {
                "messages": message,
                "response_format": {"type": "json_schema", "json_schema": wanted},
            }
        case _:
            path = chance.choice(("/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat", "/mcp"))
            name = chance.choice(("messages", "tools", "input", "system", "metadata", "prompt"))
            return path, {"messages": message, "max_tokens": 10, "input": "x", name: shape(chance, None)}


async def send_json(stack: Stack, kind: str, chance: random.Random) -> None:
    """One request. What takes too long is given up: only that others wait is wrong."""
    path, body = body_of(kind, chance)
    data = json.dumps(body).encode()
    with contextlib.suppress(httpx2.TimeoutException):
        headers = {"content-type": "application/json"}
        answer = await stack.client.post(path, content=data, headers=headers, timeout=PATIENCE)
        assert answer.status_code != 500, (path, answer.text[:200], data[:300])


async def send_bytes(stack: Stack, _kind: str, chance: random.Random) -> None:
    """One connection. Whatever comes back begins as HTTP does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    try:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                writer.write(http_bytes(chance))
                came = await reader.read(9)
                assert came[:9] in {b"", b"HTTP/1.1 "}, came
    finally:
        writer.close()


SENDERS: dict[str, Callable[..., Any]] = {
    "bytes": send_bytes,
    "shell": send_json,
    "schema": send_json,
    "shape": send_json,
}


async def fuzz(seconds: float, seed: int) -> Fuzzed:
    """Do it."""
    sent = dict.fromkeys(SENDERS, 0)
    wrong: list[str] = []
    async with (
        Upstream() as upstream,
        Stack(upstream.url, api_settings={"REQUEST_TIMEOUT": "10"}, tools={"ALLOWED_COMMANDS": "echo"}) as stack,
        measure_latency(stack) as waits,
    ):
        upstream.script(Script(seed, 0))
        end = time.monotonic() + seconds

        async def attack(kind: str) -> None:
            chance = random.Random(f"{seed} {kind}")
            while time.monotonic() < end:
                try:
                    await SENDERS[kind](stack, kind, chance)
                except Exception as fault:  # noqa: BLE001 # the report has it
                    wrong.append(f"{kind}: {type(fault).__name__}: {fault}"[:600])
                sent[kind] += 1

        await asyncio.gather(*(attack(kind) for kind in SENDERS))
        ended = [program for program in stack.programs() if program.process and program.process.returncode is not None]
        wrong += [f"a program ended: {program.log.name}" for program in ended]
    return Fuzzed(sent, waits.longest, wrong)
