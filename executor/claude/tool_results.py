"""The results of a held turn's calls: whoever asked for the turn delivers them.

Invariants: a result answers the one call it names, and no call but one that waits.
"""

import asyncio

from shared.turn import ToolResult


class UnexpectedResult(Exception):
    """A result was delivered that no call waits for."""


class ToolResultRouter:
    """Mutable: the calls that wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ToolResult]] = {}

    def expect(self, call_id: str) -> None:
        """From now on the result of this call is waited for."""
        self._waiting[call_id] = asyncio.get_running_loop().create_future()

    def deliver(self, result: ToolResult) -> None:
        """Give a result to the call that waits for it. Raises NotAwaited."""
        waiting = self._waiting.get(result.tool_use_id)
        if waiting is None or waiting.done():
            raise UnexpectedResult("a result came that no call waits for")
        waiting.set_result(result)

    async def wait(self, call_id: str) -> ToolResult:
        """The result of a call that is expected."""
        try:
            return await self._waiting[call_id]
        finally:
            del self._waiting[call_id]
