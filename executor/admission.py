"""Who may run now, who waits, who is turned away.

Law: at most `places` jobs run; at most `queue` wait, first come first served; everyone else is refused at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.errors import ErrorKind


class Refused(Exception):
    """No place for this job. retry_after: seconds until trying again makes sense."""

    def __init__(self, kind: ErrorKind, retry_after: float) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after = retry_after


class Admission:
    """Places for jobs. Mutable: `running` and the queue; touched only from the event loop's thread."""

    def __init__(self, places: int, queue: int, timeout: float) -> None:
        self.places = places
        self.queue = queue
        self.timeout = timeout
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Admission [{self.running}/{self.places} running | {self.waiting}/{self.queue} waiting]>"

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, on_wait: Callable[[int], Awaitable[None]]) -> AsyncGenerator[None]:
        """Hold a place. `on_wait` hears, before a wait, how many wait ahead. Raises Refused."""
        if self.running >= self.places or self._waiting:
            await self._wait(on_wait)
        else:
            self.running += 1
        try:
            yield
        finally:
            self._release()

    async def _wait(self, on_wait: Callable[[int], Awaitable[None]]) -> None:
        if self.waiting >= self.queue:
            raise Refused(ErrorKind.QUEUE_FULL, retry_after=min(self.timeout, 5))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ahead = self.waiting
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self.timeout):
                await on_wait(ahead)
                await turn
        except BaseException as error:
            self._leave(turn)
            if isinstance(error, TimeoutError):
                raise Refused(ErrorKind.QUEUE_TIMEOUT, retry_after=min(self.timeout, 5)) from error
            raise

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """A waiting job goes away; if a place had just been given to it, the next in line gets that place."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            self._release()

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1
