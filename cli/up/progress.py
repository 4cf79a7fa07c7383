"""Shows the progress of the start: a spinner on a terminal, a plain line elsewhere.

Invariants: the programs write log lines to the same terminal. The spinner leaves the cursor at the start of its line, so
that a log line overwrites it instead of being appended to it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.spinner import Spinner

FRAME_INTERVAL = 0.1
ERASE_LINE = Control((ControlType.ERASE_IN_LINE, 2))


@asynccontextmanager
async def show_step(console: Console, message: str) -> AsyncGenerator[None]:
    """Shows a message while the block runs."""
    if not console.is_terminal or console.is_dumb_terminal:
        console.print(message, soft_wrap=True)
        yield
        return
    task = asyncio.create_task(_spin(console, message))
    try:
        yield
    finally:
        task.cancel()
        console.control(ERASE_LINE)


async def _spin(console: Console, message: str) -> None:
    spinner = Spinner("dots", message)
    while True:
        console.control(ERASE_LINE)
        console.print(spinner.render(asyncio.get_running_loop().time()), end="\r")
        await asyncio.sleep(FRAME_INTERVAL)
