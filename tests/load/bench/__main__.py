"""bench: measure the whole server against the real CLI and a scripted service on loopback.

usage: python -m tests.load.bench [SCENARIO ...]    all of them, or: first-token, tools, conversations, streams, memory, tool-jobs, keys

Exit status: 0 every target met, 1 one missed, 2 no such scenario, 3 the machine is too busy to measure.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console

from executor.claude.cli.credential import find_credential
from executor.claude.cli.launch import Launch, find_binary, select_inherited
from executor.claude.cli.sandbox import build_cli_sandbox
from executor.sandbox import landlock
from tests.load.bench.environment import Bench, Restless
from tests.load.bench.report import Figure, Report, machine, missed, show, write
from tests.load.bench.scenarios import ALL
from tests.load.bench.service import service
from tests.support.stack import REPOSITORY

TIMEOUT = 600.0
RESULT = REPOSITORY / "bench.json"


async def measured(names: list[str], console: Console) -> Report:
    """Run these scenarios, one after the other."""
    began = time.monotonic()
    task = asyncio.current_task()
    assert task
    # An end from outside takes the way of Ctrl-C: nothing that was started stays behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    binary = find_binary(None)
    assert binary, "the CLI is not installed"
    invented = find_credential({"ANTHROPIC_API_KEY": "sk-ant-invented"})
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        async with asyncio.timeout(TIMEOUT), service() as url:
            at = machine(await version(binary, folder))
            given = select_inherited({"PATH": os.environ["PATH"]})
            launch = Launch(
                binary,
                invented,
                url,
                given,
                build_cli_sandbox(binary, invented, url, given, landlock.get_abi_version()),
            )
            bench = Bench(launch, Path(folder), lambda words: console.print(f"[dim]{words}"))
            figures: list[Figure] = []
            for name in names:
                figures += await ALL[name](bench)
    return Report(at, time.monotonic() - began, figures)


async def version(binary: Path, folder: str) -> str:
    """What the CLI calls itself."""
    environment = {"HOME": folder, "CLAUDE_CONFIG_DIR": folder}
    process = await asyncio.create_subprocess_exec(
        str(binary), "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=environment
    )
    said, _ = await process.communicate()
    return said.decode().split()[0]


def main() -> int:
    """Measure, show, write."""
    names = sys.argv[1:] or list(ALL)
    if not set(names) <= set(ALL):
        print(__doc__, file=sys.stderr)
        return 2
    console = Console(highlight=False)
    try:
        report = uvloop.run(measured(names, console))
    except Restless as restless:
        print(restless, file=sys.stderr)
        return 3
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except TimeoutError:
        print("Something took too long. Is this machine busy?", file=sys.stderr)
        return 3
    show(report, console)
    write(report, RESULT)
    console.print(f"written to {RESULT.name}")
    return 1 if missed(report.figures) else 0


if __name__ == "__main__":
    sys.exit(main())
