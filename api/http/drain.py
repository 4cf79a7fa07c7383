"""Ending without cutting anyone off: no new work, then a grace period, then an honest last word.

Law: begins once, and never ends. Who asked before it could know is still answered: no connection is accepted any more, and
what comes on those that are open is refused only after `LATE` seconds, by when they are closed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator

from shared.errors import ErrorKind
from shared.events import Failed

# How long what was sent before may be on its way.
REFUSAL_DELAY = 1.0

type GiveUp = Callable[[Failed], None]


class Drain:
    """begun: it ends. refusing: it takes no new work. Mutable: these, and how to end each running job."""

    def __init__(self, grace: float) -> None:
        self.is_draining = False
        self.is_refusing = False
        self.grace = grace
        self._jobs: set[GiveUp] = set()
        self._waiters: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Take no new work; running jobs have `grace` seconds."""
        if not self.is_draining:
            self.is_draining = True
            for leave in tuple(self._waiters):
                leave()
            loop = asyncio.get_running_loop()
            loop.call_later(min(REFUSAL_DELAY, self.grace), self._start_refusing)
            loop.call_later(self.grace, self._end_jobs)

    @contextlib.contextmanager
    def track_job(self, give_up: GiveUp) -> Generator[None]:
        """A running job; `give_up` ends it with an honest event."""
        self._jobs.add(give_up)
        try:
            yield
        finally:
            self._jobs.discard(give_up)

    @contextlib.contextmanager
    def track_waiter(self, leave: Callable[[], None]) -> Generator[None]:
        """Something that only waits for what may come; `leave` ends it as soon as draining begins."""
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
