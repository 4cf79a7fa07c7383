"""Tasks that end with a block, and the wait for the first of several."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def background_task[T](work: Coroutine[Any, Any, T]) -> AsyncGenerator[asyncio.Task[T]]:
    """Runs the work as a task; cancels it at the end of the block, unless it is done."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def wait_for_first(*tasks: asyncio.Task[Any]) -> None:
    """Waits until one task is done; cancellation of the wait cancels none of them."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
