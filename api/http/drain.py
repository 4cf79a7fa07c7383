"""The drain at shutdown: no new work, then a grace period, then an error event for each running job.

Invariants: a drain starts once and never stops. Requests in transit are still answered: no new connection is accepted,
and requests on open connections are refused only after `REFUSAL_DELAY` seconds, when those connections are closed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator

from shared.errors import ErrorKind
from shared.events import Failed

# How long a request may be in transit.
REFUSAL_DELAY = 1.0

type GiveUp = Callable[[Failed], None]


class Drain:
    """is_refusing: no new work is accepted. Mutable: the state, and how to end each running job."""

    def __init__(self, grace: float) -> None:
        self.is_draining = False
        self.is_refusing = False
        self.grace = grace
        self._jobs: set[GiveUp] = set()
        self._waiters: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Start the drain; running jobs have `grace` seconds."""
        if not self.is_draining:
            self.is_draining = True
            for leave in tuple(self._waiters):
                leave()
            loop = asyncio.get_running_loop()
            loop.call_later(min(REFUSAL_DELAY, self.grace), self._start_refusing)
            loop.call_later(self.grace, self._end_jobs)

    @contextlib.contextmanager
    def track_job(self, give_up: GiveUp) -> Generator[None]:
        """Tracks a running job; `give_up` ends it with an error event."""
        self._jobs.add(give_up)
        try:
            yield
        finally:
            self._jobs.discard(give_up)

    @contextlib.contextmanager
    def track_waiter(self, leave: Callable[[], None]) -> Generator[None]:
        """Tracks a waiter without a job; `leave` ends it when the drain starts."""
        self._waiters.add(leave)
        try:
            yield
        finally:
            self._waiters.discard(leave)

    def _start_refusing(self) -> None:
        self.is_refusing = True

    def _end_jobs(self) -> None:
        for give_up in tuple(self._jobs):
            give_up(Failed(ErrorKind.DRAINING, retry_after=1))
