"""Admission: decides which jobs run now, which wait, and which are refused.

Invariants: at most `places` jobs run; at most `queue` wait. The last free slot is reserved for a tenant that has none, so that
long jobs of one tenant can't lock all others out; without keys all callers are one tenant, which has no name. A free slot goes
to the tenant with the fewest running jobs and, among equals, to the one that was served longest ago; the jobs of one tenant
are served in the order of their arrival. If the queue is full, a new job is refused at once, unless another tenant has at
least two more waiting jobs: then the last job of that tenant is refused instead.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.errors import ErrorKind


class AdmissionRefused(Exception):
    """There is no slot for this job. retry_after: seconds until a retry makes sense."""

    def __init__(self, kind: ErrorKind, retry_after: float) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after = retry_after


class Admission:
    """Slots for jobs. Mutable: `running` and the queues; used only from the event loop's thread."""

    def __init__(self, places: int, queue: int, timeout: float) -> None:
        self.capacity = places
        self.max_queue = queue
        self.timeout = timeout
        self.running = 0
        # Each tenant that waits, in the order in which they were last served.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._running_by_tenant: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Admission [{self.running}/{self.capacity} running | {self.waiting}/{self.max_queue} waiting]>"

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def acquire_slot(
        self, on_wait: Callable[[int], Awaitable[None]], tenant: str = "", *, may_queue: bool = True
    ) -> AsyncGenerator[None]:
        """Holds a slot. on_wait: called before a wait, with the number of jobs likely to be served first.

        may_queue: False to be refused instead of waiting.

        Raises AdmissionRefused.
        """
        if self._can_admit(tenant):
            self._take_slot(tenant)
        elif not may_queue:
            raise self._build_queue_full()
        else:
            await self._wait_for_slot(on_wait, tenant)
        try:
            yield
        finally:
            self._release_slot(tenant)

    def _can_admit(self, tenant: str) -> bool:
        """Whether a tenant may take a slot now. Waiting jobs need no check: they wait because they may not."""
        free = self.capacity - self.running
        return free > 0 and (free > 1 or not tenant or not self._running_by_tenant[tenant] or self.capacity == 1)

    def _take_slot(self, tenant: str) -> None:
        self.running += 1
        self._running_by_tenant[tenant] += 1

    async def _wait_for_slot(self, on_wait: Callable[[int], Awaitable[None]], tenant: str) -> None:
        if self.waiting >= self.max_queue and not self._make_room(tenant):
            raise self._build_queue_full()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(tenant, deque())
        # For each job of this tenant, one job of each other tenant is served.
        ahead = len(line) + sum(min(len(other), len(line) + 1) for other in self._waiting.values() if other is not line)
        line.append(turn)
        try:
            async with asyncio.timeout(self.timeout):
                await on_wait(ahead)
                await turn
        except BaseException as error:
            self._leave_queue(turn, tenant)
            if isinstance(error, TimeoutError):
                raise AdmissionRefused(ErrorKind.QUEUE_TIMEOUT, retry_after=min(self.timeout, 5)) from error
            raise

    def _build_queue_full(self) -> AdmissionRefused:
        return AdmissionRefused(ErrorKind.QUEUE_FULL, retry_after=min(self.timeout, 5))

    def _make_room(self, tenant: str) -> bool:
        """Refuses the last job of the longest queue, if that is fairer than refusing this tenant's job. Returns whether it did."""
        longest = max(self._waiting, key=lambda name: len(self._waiting[name]), default=tenant)
        if len(self._waiting.get(longest, ())) < len(self._waiting.get(tenant, ())) + 2:
            return False
        last = self._waiting[longest].pop()
        if not last.done():
            last.set_exception(self._build_queue_full())
        return True

    def _leave_queue(self, turn: asyncio.Future[None], tenant: str) -> None:
        """Removes a waiting job; if it had just got a slot, the next job gets that slot."""
        line = self._waiting.get(tenant, ())
        if turn in line:
            self._waiting[tenant].remove(turn)
            if not self._waiting[tenant]:
                del self._waiting[tenant]
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            self._release_slot(tenant)

    def _release_slot(self, tenant: str) -> None:
        self._running_by_tenant[tenant] -= 1
        if not self._running_by_tenant[tenant]:
            del self._running_by_tenant[tenant]
        self.running -= 1
        while waiting := [name for name in self._waiting if self._can_admit(name)]:
            chosen = min(waiting, key=lambda name: self._running_by_tenant[name])
            line = self._waiting.pop(chosen)
            turn = line.popleft()
            if line:
                self._waiting[chosen] = line  # served last, so it moves to the end
            if not turn.done():
                self._take_slot(chosen)
                turn.set_result(None)
