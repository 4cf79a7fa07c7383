"""Who asks for nothing but a sign of life while others do harm: how long the API's event loop keeps them waiting.

usage: python -m tests.support.latency_probe PORT PID, until its input ends; it writes the longest wait, without and with the time in
which one of the two programs could run but had no processor: that says how busy the machine is, not the API.
"""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The program below needs none of the clients that a stack imports.
    from tests.support.stack import Stack

REPOSITORY = Path(__file__).parents[2]
REQUEST_INTERVAL = 0.01
LIVE_REQUEST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Latencies:
    """Mutable: what was measured, once that is over, in seconds. elapsed: with what the machine added."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.elapsed = 0.0


@contextlib.asynccontextmanager
async def measure_latency(stack: "Stack") -> AsyncGenerator[Latencies]:
    """Somebody asks all the time, from a process of its own. What was measured is there after the block."""
    waits = Latencies()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.latency_probe", str(stack.port), str(stack.api.pid)),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    await process.stdout.readline()
    try:
        yield waits
    finally:
        told, _ = await process.communicate()
        waits.longest, waits.elapsed = map(float, told.split())
        print(f"the longest wait: {waits.longest:.3f} s; {waits.elapsed:.3f} s with what the machine added")


def read_scheduling_delay(pid: str) -> float:
    """How long the threads of both programs have waited for a processor (proc_pid_schedstat), in seconds."""
    total = 0
    for place in (f"/proc/{pid}/task", "/proc/self/task"):
        for path in Path(place).glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[1])
    return total / 1e9


def main() -> None:
    """Ask until the input ends."""
    _, port, pid = sys.argv
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    longest = elapsed = 0.0
    with socket.create_connection(("127.0.0.1", int(port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("ready", flush=True)
        while not over.is_set():
            before, began = read_scheduling_delay(pid), time.perf_counter()
            sock.sendall(LIVE_REQUEST)
            assert sock.recv(65536)
            spent = time.perf_counter() - began
            longest, elapsed = max(longest, spent - (read_scheduling_delay(pid) - before)), max(elapsed, spent)
            time.sleep(REQUEST_INTERVAL)
    print(longest, elapsed)


if __name__ == "__main__":
    main()
