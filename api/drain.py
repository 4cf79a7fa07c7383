"""Ending without cutting anyone off: no new work, then a grace period, then an honest last word.

Law: begins once, and never ends.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator

from shared.errors import ErrorKind
from shared.events import Failed

type GiveUp = Callable[[Failed], None]


class Drain:
    """Mutable: whether it began, and how to end each running job."""

    def __init__(self, grace: float) -> None:
        self.begun = False
        self.grace = grace
        self._jobs: set[GiveUp] = set()
        self._waiting: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Take no new work; running jobs have `grace` seconds."""
        if not self.begun:
            self.begun = True
            for leave in tuple(self._waiting):
                leave()
            asyncio.get_running_loop().call_later(self.grace, self._over)

    @contextlib.contextmanager
    def job(self, give_up: GiveUp) -> Generator[None]:
        """A running job; `give_up` ends it with an honest event."""
        self._jobs.add(give_up)
        try:
            yield
        finally:
            self._jobs.discard(give_up)

    @contextlib.contextmanager
    def waiting(self, leave: Callable[[], None]) -> Generator[None]:
        """Something that only waits for what may come; `leave` ends it as soon as draining begins."""
        self._waiting.add(leave)
        try:
            yield
        finally:
            self._waiting.discard(leave)

    def _over(self) -> None:
        for give_up in tuple(self._jobs):
            give_up(Failed(ErrorKind.DRAINING, retry_after=1))
