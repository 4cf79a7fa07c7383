"""Who watches the jobs: told of each job's begin, of every event as it comes, and of the end. Pure.

Law: a watch changes nothing; what it does costs less than the event it sees. Its `end` comes exactly once, whether the
job was done, failed, or was left by its client.
"""

from collections.abc import Callable
from typing import Protocol

from api.core.caller import Caller
from shared.events import Event
from shared.turn import Turn


class JobObserver(Protocol):
    """One job's."""

    def record_event(self, event: Event) -> None:
        """The job's next event."""
        ...

    def end(self) -> None:
        """Nothing more comes."""
        ...


type JobObserverFactory = Callable[[Turn, Caller], JobObserver]
