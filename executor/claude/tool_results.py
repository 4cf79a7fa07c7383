"""Routes the caller's tool results to the calls of an interactive turn.

Invariants: a result answers exactly the call that it names, and only a call that waits for one.
"""

import asyncio

from shared.turn import ToolResult


class UnexpectedResult(Exception):
    """No call waits for the delivered result."""


class ToolResultRouter:
    """Mutable: the calls that wait for a result."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[ToolResult]] = {}

    def expect(self, call_id: str) -> None:
        """Registers a call that waits for a result."""
        self._waiting[call_id] = asyncio.get_running_loop().create_future()

    def deliver(self, result: ToolResult) -> None:
        """Passes a result to the call that waits for it. Raises UnexpectedResult."""
        waiting = self._waiting.get(result.tool_use_id)
        if waiting is None or waiting.done():
            raise UnexpectedResult("no call waits for this tool result")
        waiting.set_result(result)

    async def wait(self, call_id: str) -> ToolResult:
        """Returns the result of a registered call."""
        try:
            return await self._waiting[call_id]
        finally:
            del self._waiting[call_id]
