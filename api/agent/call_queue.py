"""Schedules a model's calls and orders their results. Pure.

Invariants: calls start in order. Read-only calls run in parallel; a call that may change something runs alone. Results are
returned in the order of the calls.
"""

from collections import deque

from api.agent.tool_definitions import is_read_only
from shared.events import ToolCallPending
from shared.tool_jobs import ToolsStatus
from shared.turn import ToolResult

# One conversation must not use all capacity.
MAX_PARALLEL_CALLS = 4


class PendingCalls:
    """The calls of a turn. Mutable: the waiting calls, the running ones, and the results in order."""

    def __init__(self, status: ToolsStatus) -> None:
        self._status = status
        self._waiting: deque[ToolCallPending] = deque()
        self._running: dict[str, ToolCallPending] = {}
        self._results: dict[str, tuple[ToolCallPending, ToolResult | None]] = {}

    def add(self, call: ToolCallPending) -> None:
        """Adds a call."""
        self._waiting.append(call)
        self._results[call.id] = call, None

    def take_ready(self) -> list[ToolCallPending]:
        """Removes and returns the calls that can start now."""
        ready: list[ToolCallPending] = []
        while self._waiting and self._can_start(self._waiting[0]):
            call = self._waiting.popleft()
            self._running[call.id] = call
            ready.append(call)
        return ready

    def finish(self, call_id: str) -> None:
        """Marks a call as no longer running."""
        del self._running[call_id]

    def add_result(self, result: ToolResult) -> list[tuple[ToolCallPending, ToolResult]]:
        """Records a result; returns the results that can be sent next, with their calls."""
        call, _ = self._results[result.tool_use_id]
        self._results[result.tool_use_id] = call, result
        sendable: list[tuple[ToolCallPending, ToolResult]] = []
        for pending, outcome in tuple(self._results.values()):
            if outcome is None:
                break
            sendable.append((pending, outcome))
            del self._results[pending.id]
        return sendable

    def _can_start(self, call: ToolCallPending) -> bool:
        calls = (call, *self._running.values())
        read_only = all(is_read_only(each.name, self._status) for each in calls)
        return not self._running or (read_only and len(calls) <= MAX_PARALLEL_CALLS)
