"""Observers of jobs: they see a job's start, each event and its end. Pure.

Invariants: an observer changes nothing, and costs less than the event. `end` is called exactly once, whether the job
succeeded, failed, or its client disconnected.
"""

from collections.abc import Callable
from typing import Protocol

from api.core.caller import Caller
from shared.events import Event
from shared.turn import Turn


class JobObserver(Protocol):
    """The observer of one job."""

    def record_event(self, event: Event) -> None:
        """Records the job's next event."""
        ...

    def end(self) -> None:
        """Records the end of the job."""
        ...


type JobObserverFactory = Callable[[Turn, Caller], JobObserver]
