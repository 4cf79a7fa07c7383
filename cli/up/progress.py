"""What is shown while the server starts: a spinner on a terminal, a plain line elsewhere.

Law: the programs' log lines go to the same terminal. The spinner leaves the cursor where its line begins, so that a log
line takes its place instead of being glued to it.
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
async def show_step(console: Console, words: str) -> AsyncGenerator[None]:
    """Say what is waited for while the block runs."""
    if not console.is_terminal or console.is_dumb_terminal:
        console.print(words, soft_wrap=True)
        yield
        return
    spinning = asyncio.create_task(_spin(console, words))
    try:
        yield
    finally:
        spinning.cancel()
        console.control(ERASE_LINE)


async def _spin(console: Console, words: str) -> None:
    spinner = Spinner("dots", words)
    while True:
        console.control(ERASE_LINE)
        console.print(spinner.render(asyncio.get_running_loop().time()), end="\r")
        await asyncio.sleep(FRAME_INTERVAL)
