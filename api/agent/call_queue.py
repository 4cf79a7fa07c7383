"""Which of a model's calls are done when, and in which order their results go back. Pure.

Law: calls begin in their order; those that only read are done side by side, one that may change something is done alone.
Results go back in the order of the calls.
"""

from collections import deque

from api.agent.tool_definitions import only_reads
from shared.events import Wanted
from shared.tool_jobs import ToolsStatus
from shared.turn import ToolResult

# One conversation does not take all the places.
AT_ONCE = 4


class Calls:
    """The calls of a turn. Mutable: which wait, which are under way, and what came of which, in their order."""

    def __init__(self, status: ToolsStatus) -> None:
        self._status = status
        self._waiting: deque[Wanted] = deque()
        self._working: dict[str, Wanted] = {}
        self._came: dict[str, tuple[Wanted, ToolResult | None]] = {}

    def want(self, wanted: Wanted) -> None:
        """One more."""
        self._waiting.append(wanted)
        self._came[wanted.id] = wanted, None

    def due(self) -> list[Wanted]:
        """Those that are to begin now."""
        begin: list[Wanted] = []
        while self._waiting and self._may_begin(self._waiting[0]):
            wanted = self._waiting.popleft()
            self._working[wanted.id] = wanted
            begin.append(wanted)
        return begin

    def ended(self, call_id: str) -> None:
        """One is no longer under way."""
        del self._working[call_id]

    def brought(self, result: ToolResult) -> list[tuple[Wanted, ToolResult]]:
        """What came of one; the results that are next to go back, with their calls."""
        wanted, _ = self._came[result.tool_use_id]
        self._came[result.tool_use_id] = wanted, result
        following: list[tuple[Wanted, ToolResult]] = []
        for asked, came in tuple(self._came.values()):
            if came is None:
                break
            following.append((asked, came))
            del self._came[asked.id]
        return following

    def _may_begin(self, wanted: Wanted) -> bool:
        both = (wanted, *self._working.values())
        reading = all(only_reads(one.name, self._status) for one in both)
        return not self._working or (reading and len(both) <= AT_ONCE)
