"""Which of a model's calls are done when, and in which order their results go back. Pure.

Law: calls begin in their order; those that only read are done side by side, one that may change something is done alone.
Results go back in the order of the calls.
"""

from collections import deque

from api.agent.tool_definitions import is_read_only
from shared.events import ToolCallPending
from shared.tool_jobs import ToolsStatus
from shared.turn import ToolResult

# One conversation does not take all the places.
MAX_PARALLEL_CALLS = 4


class PendingCalls:
    """The calls of a turn. Mutable: which wait, which are under way, and what came of which, in their order."""

    def __init__(self, status: ToolsStatus) -> None:
        self._status = status
        self._waiting: deque[ToolCallPending] = deque()
        self._running: dict[str, ToolCallPending] = {}
        self._results: dict[str, tuple[ToolCallPending, ToolResult | None]] = {}

    def add(self, wanted: ToolCallPending) -> None:
        """One more."""
        self._waiting.append(wanted)
        self._results[wanted.id] = wanted, None

    def take_ready(self) -> list[ToolCallPending]:
        """Those that are to begin now."""
        begin: list[ToolCallPending] = []
        while self._waiting and self._can_start(self._waiting[0]):
            wanted = self._waiting.popleft()
            self._running[wanted.id] = wanted
            begin.append(wanted)
        return begin

    def finish(self, call_id: str) -> None:
        """One is no longer under way."""
        del self._running[call_id]

    def add_result(self, result: ToolResult) -> list[tuple[ToolCallPending, ToolResult]]:
        """What came of one; the results that are next to go back, with their calls."""
        wanted, _ = self._results[result.tool_use_id]
        self._results[result.tool_use_id] = wanted, result
        following: list[tuple[ToolCallPending, ToolResult]] = []
        for asked, came in tuple(self._results.values()):
            if came is None:
                break
            following.append((asked, came))
            del self._results[asked.id]
        return following

    def _can_start(self, wanted: ToolCallPending) -> bool:
        both = (wanted, *self._running.values())
        reading = all(is_read_only(one.name, self._status) for one in both)
        return not self._running or (reading and len(both) <= MAX_PARALLEL_CALLS)
