"""Places for jobs: who runs, who waits, who is turned away."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import executor.admission
from executor.admission import Admission, AdmissionRefused
from shared.errors import ErrorKind
from tests.support.timeouts import TEST_TIMEOUT

LONG = 3600.0
AT_ONCE = 0.01


async def settle() -> None:
    """Let every task that can go on do so, until it waits for something else."""
    for _ in range(10):
        await asyncio.sleep(0)


class Job:
    """A job that runs from when it is admitted until it is let go."""

    def __init__(self, admission: Admission, name: int, admitted: list[int]) -> None:
        self.name = name
        self.ahead: list[int] = []
        self.refused: AdmissionRefused | None = None
        self._end = asyncio.Event()
        self._then: Callable[[], object] = bool
        self.inside = asyncio.Event()
        self._admission = admission
        self._admitted = admitted
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with self._admission.acquire_slot(self._waits):
                self._admitted.append(self.name)
                self.inside.set()
                await self._end.wait()
            self._then()
        except AdmissionRefused as refused:
            self.refused = refused

    async def _waits(self, ahead: int) -> None:
        self.ahead.append(ahead)

    def let_go(self, then: Callable[[], object] = bool) -> None:
        """It ends by itself; `then` happens in the same step of the event loop in which its place is given on."""
        self._then = then
        self._end.set()


class Crowd:
    """Jobs of one admission, and the order in which they got in."""

    def __init__(self, places: int, queue: int, timeout: float = LONG) -> None:
        self.admission = Admission(places, queue, timeout)
        self.admitted: list[int] = []
        self.jobs: list[Job] = []

    async def arrive(self) -> Job:
        """One more job, which has got as far as it can."""
        job = Job(self.admission, len(self.jobs), self.admitted)
        self.jobs.append(job)
        await settle()
        return job


@asynccontextmanager
async def crowd(places: int, queue: int, timeout: float = LONG) -> AsyncGenerator[Crowd]:
    """A crowd that has gone home in the end, and left every place free."""
    async with asyncio.timeout(TEST_TIMEOUT):
        here = Crowd(places, queue, timeout)
        try:
            yield here
        finally:
            for job in here.jobs:
                job.task.cancel()
            await asyncio.gather(*(job.task for job in here.jobs), return_exceptions=True)
        assert (here.admission.running, here.admission.waiting) == (0, 0)


async def test_a_job_with_a_free_place_runs_at_once_and_hears_of_no_wait() -> None:
    """Nobody waits while a place is free."""
    async with crowd(places=2, queue=0) as here:
        first, second = await here.arrive(), await here.arrive()
        assert here.admitted == [0, 1]
        assert first.ahead == second.ahead == []


async def test_who_waits_hears_how_many_wait_ahead() -> None:
    """The number counts those that wait, not those that run."""
    async with crowd(places=1, queue=3) as here:
        jobs = [await here.arrive() for _ in range(4)]
        assert [job.ahead for job in jobs] == [[], [0], [1], [2]]


async def test_those_who_wait_get_in_as_they_came() -> None:
    """First come, first served; one place, one job."""
    async with crowd(places=1, queue=5) as here:
        for _ in range(5):
            await here.arrive()
        for number in range(5):
            assert here.admitted == list(range(number + 1))
            here.jobs[number].let_go()
            await settle()
        assert here.admitted == [0, 1, 2, 3, 4]


async def test_a_newcomer_never_overtakes_one_who_was_just_given_a_place() -> None:
    """A place that is handed over is taken, though its new owner has not moved yet."""
    async with crowd(places=1, queue=2) as here:
        holder, waiter = await here.arrive(), await here.arrive()
        seen: list[tuple[bool, int, int]] = []
        holder.let_go(lambda: seen.append((waiter.inside.is_set(), here.admission.running, here.admission.waiting)))
        newcomer = await here.arrive()
        assert seen == [(False, 1, 0)]
        assert here.admitted == [0, 1]
        assert newcomer.ahead == [0]


async def test_one_more_than_the_queue_holds_is_refused_at_once() -> None:
    """It neither waits nor hears of a wait, and is told when to come back."""
    async with crowd(places=1, queue=1) as here:
        await here.arrive()
        await here.arrive()
        third = await here.arrive()
        assert third.task.done()
        assert third.refused
        assert third.refused.kind is ErrorKind.QUEUE_FULL
        assert third.refused.retry_after == 5
        assert third.ahead == []
        assert repr(here.admission) == "<Admission [1/1 running | 1/1 waiting]>"


async def test_without_a_queue_a_busy_executor_refuses() -> None:
    """MAX_QUEUE 0 means no waiting at all."""
    async with crowd(places=1, queue=0, timeout=2) as here:
        await here.arrive()
        second = await here.arrive()
        assert second.refused
        assert second.refused.kind is ErrorKind.QUEUE_FULL
        assert second.refused.retry_after == 2


async def test_who_waited_too_long_is_refused_and_leaves_the_queue() -> None:
    """Its place in the queue is free again, and so is the place it would have had."""
    async with crowd(places=1, queue=1, timeout=AT_ONCE) as here:
        holder = await here.arrive()
        waiter = await here.arrive()
        await waiter.task
        assert waiter.refused
        assert waiter.refused.kind is ErrorKind.QUEUE_TIMEOUT
        assert waiter.refused.retry_after == AT_ONCE
        assert here.admission.waiting == 0
        holder.let_go()
        await holder.task
        assert (await here.arrive()).inside.is_set()


async def test_the_wait_is_bounded_also_while_the_news_of_it_is_told() -> None:
    """A client that does not read can't hold its place in the queue for ever."""
    async with asyncio.timeout(TEST_TIMEOUT):
        admission = Admission(places=1, queue=1, timeout=AT_ONCE)
        async with admission.acquire_slot(_never):
            with pytest.raises(AdmissionRefused) as refused:
                async with admission.acquire_slot(_never):
                    raise AssertionError("there was no place")
        assert refused.value.kind is ErrorKind.QUEUE_TIMEOUT
        assert repr(admission) == "<Admission [0/1 running | 0/1 waiting]>"


async def _never(_ahead: int) -> None:
    await asyncio.Event().wait()


async def test_the_time_limit_is_for_the_wait_and_not_for_the_job() -> None:
    """Once inside, a job may take longer than QUEUE_TIMEOUT."""
    admission = Admission(places=1, queue=1, timeout=AT_ONCE)
    late = asyncio.Event()
    asyncio.get_running_loop().call_later(AT_ONCE * 3, late.set)
    async with asyncio.timeout(TEST_TIMEOUT), admission.acquire_slot(_never):
        await late.wait()
        assert admission.running == 1


async def test_a_waiting_job_that_is_cancelled_leaves_the_queue() -> None:
    """The next in line moves up, and no place is lost."""
    async with crowd(places=1, queue=2) as here:
        holder, gone, next_one = [await here.arrive() for _ in range(3)]
        gone.task.cancel()
        await settle()
        assert here.admission.waiting == 1
        holder.let_go()
        await settle()
        assert next_one.inside.is_set()
        assert here.admitted == [0, 2]


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_a_job_that_is_cancelled_exactly_when_it_is_given_a_place_passes_it_on(others: int) -> None:
    """The place goes to the next in line, or becomes free: it does not vanish with the job."""
    async with crowd(places=1, queue=3) as here:
        holder, gone = await here.arrive(), await here.arrive()
        rest = [await here.arrive() for _ in range(others)]
        holder.let_go(gone.task.cancel)
        await settle()
        assert gone.task.cancelled()
        assert not gone.inside.is_set()
        assert here.admission.running == min(others, 1)
        assert [job.inside.is_set() for job in rest] == [True, False][:others]


async def test_a_job_whose_time_is_up_exactly_when_it_is_given_a_place_passes_it_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is refused, and the next in line runs."""
    limits: list[Any] = []

    def recorded(delay: float) -> asyncio.Timeout:
        limits.append(asyncio.timeout(delay))
        return limits[-1]

    monkeypatch.setattr(executor.admission, "asyncio", SimpleNamespace(**{**vars(asyncio), "timeout": recorded}))
    async with crowd(places=1, queue=2) as here:
        holder, late, next_one = [await here.arrive() for _ in range(3)]
        holder.let_go(limits[0]._on_timeout)
        await settle()
        assert late.refused
        assert late.refused.kind is ErrorKind.QUEUE_TIMEOUT
        assert late.refused.retry_after == 5
        assert next_one.inside.is_set()
        assert here.admission.running == 1


async def test_a_job_cancelled_before_the_place_was_given_does_not_swallow_it() -> None:
    """Both in one step of the event loop, the cancellation first: the next in line gets the place."""
    async with crowd(places=1, queue=2) as here:
        holder, gone, next_one = [await here.arrive() for _ in range(3)]
        gone.task.cancel()
        holder.let_go()
        await settle()
        assert next_one.inside.is_set()
        assert here.admitted == [0, 2]


@pytest.mark.parametrize("error", [RuntimeError(), asyncio.CancelledError(), AdmissionRefused(ErrorKind.QUEUE_FULL, 1)])
async def test_a_job_that_fails_gives_its_place_back(error: BaseException) -> None:
    """However it ends; and its error is its own."""
    admission = Admission(places=1, queue=0, timeout=LONG)
    with pytest.raises(type(error)) as raised:
        await _failing(admission, error)
    assert raised.value is error
    assert admission.running == 0


async def _failing(admission: Admission, error: BaseException) -> None:
    async with admission.acquire_slot(_never):
        assert admission.running == 1
        raise error


async def test_a_job_whose_news_can_not_be_told_leaves_the_queue() -> None:
    """The connection is gone, so nobody waits any more; the error is the caller's to see."""

    async def broken(_ahead: int) -> None:
        raise ConnectionResetError

    admission = Admission(places=1, queue=1, timeout=LONG)
    async with admission.acquire_slot(_never):
        with pytest.raises(ConnectionResetError):
            async with admission.acquire_slot(broken):
                raise AssertionError("there was no place")
        assert admission.waiting == 0
    assert admission.running == 0


async def test_its_repr_tells_the_whole_state() -> None:
    """Running and waiting, each with its limit."""
    async with crowd(places=2, queue=3) as here:
        assert repr(here.admission) == "<Admission [0/2 running | 0/3 waiting]>"
        for _ in range(3):
            await here.arrive()
        assert repr(here.admission) == "<Admission [2/2 running | 1/3 waiting]>"


async def test_a_burst_never_runs_more_than_there_are_places() -> None:
    """All at once: at each moment at most `places` are inside, and at some moment exactly so many."""
    places, inside, most = 3, 0, 0
    admission = Admission(places, queue=20, timeout=LONG)

    async def nothing(_ahead: int) -> None:
        pass

    async def job() -> None:
        nonlocal inside, most
        async with admission.acquire_slot(nothing):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.timeout(TEST_TIMEOUT):
        await asyncio.gather(*(job() for _ in range(20)))
    assert most == places
    assert repr(admission) == "<Admission [0/3 running | 0/20 waiting]>"


type Act = tuple[str, int]
acts: st.SearchStrategy[list[Act]] = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "let go", "cancel", "let go and cancel the next"]), st.integers(0, 9)
    ),
    max_size=25,
)


@given(places=st.integers(1, 3), queue=st.integers(0, 3), story=acts)
async def test_no_sequence_of_events_breaks_the_invariants(places: int, queue: int, story: list[Act]) -> None:
    """Against a list of who runs and a list of who waits: arrivals, endings and cancellations in any order."""
    running: list[int] = []
    waiting: list[int] = []
    async with crowd(places, queue) as here:
        for act, which in story:
            if act == "arrive":
                number = (await here.arrive()).name
                if len(running) < places:
                    running.append(number)
                elif len(waiting) < queue:
                    waiting.append(number)
                else:
                    assert here.jobs[number].refused
            elif act == "cancel" and waiting + running:
                number = (waiting + running)[which % len(waiting + running)]
                here.jobs[number].task.cancel()
                (waiting if number in waiting else running).remove(number)
            elif running:
                job = here.jobs[running.pop(which % len(running))]
                if act != "let go" and waiting:
                    job.let_go(here.jobs[waiting.pop(0)].task.cancel)
                else:
                    job.let_go()
            await settle()
            while waiting and len(running) < places:
                running.append(waiting.pop(0))
            assert sorted(job.name for job in here.jobs if job.inside.is_set() and not job.task.done()) == sorted(
                running
            )
            assert here.admission.running == len(running) <= places
            assert here.admission.waiting == len(waiting) <= queue
            assert here.admitted == sorted(here.admitted)


async def test_a_busy_tenant_starves_no_other() -> None:
    """One job of another tenant is served after one of the busy one's, though ten were there before it."""
    admission = Admission(1, 20, LONG)
    served: list[str] = []

    async def nothing(ahead: int) -> None:
        pass

    async def job(tenant: str) -> None:
        async with admission.acquire_slot(nothing, tenant):
            served.append(tenant)
            await asyncio.sleep(0)

    busy = [asyncio.create_task(job("busy")) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.gather(*busy, asyncio.create_task(job("small")))
    assert served.index("small") <= 3
    assert admission.running == admission.waiting == 0


@given(places=st.integers(2, 4), story=st.lists(st.tuples(st.sampled_from(["a", "b", "c", "end"]), st.integers(0, 9))))
async def test_who_has_nothing_running_always_finds_a_place_beside_one_busy_tenant(
    places: int, story: list[tuple[str, int]]
) -> None:
    """However many long jobs the busy one sends, and whatever ended before; and no place is idle that anyone may have."""
    admission = Admission(places, 100, LONG)
    running: dict[asyncio.Event, str] = {}
    tasks: list[asyncio.Task[None]] = []

    async def nothing(ahead: int) -> None:
        pass

    async def job(tenant: str) -> None:
        async with admission.acquire_slot(nothing, tenant):
            running[end := asyncio.Event()] = tenant
            await end.wait()
            del running[end]

    def counts() -> list[int]:
        return [list(running.values()).count(name) for name in ("a", "b", "c")]

    async with asyncio.timeout(TEST_TIMEOUT):
        for what, which in story:
            if what == "end":
                if running:
                    list(running)[which % len(running)].set()
            else:
                before, free = counts(), places - len(running)
                tasks.append(asyncio.create_task(job(what)))
                await settle()
                if free and not before["abc".index(what)]:
                    assert counts()["abc".index(what)] == 1
            await settle()
            assert sum(number > 0 for number in counts()) > 1 or len(running) < places
            assert len(running) >= places - 1 or not admission.waiting
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert (admission.running, admission.waiting) == (0, 0)


async def test_where_there_is_one_place_a_tenant_has_it() -> None:
    """And who has no name has all of them."""
    for tenant, places in (("a", 1), ("", 2)):
        admission = Admission(places, 0, LONG)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(places):
                await stack.enter_async_context(admission.acquire_slot(_never, tenant))
            assert admission.running == places


async def test_a_full_queue_has_room_for_a_tenant_that_waits_less() -> None:
    """The last of the longest line is refused in its stead; a tenant can't push its own out."""
    admission = Admission(1, 3, LONG)
    end = asyncio.Event()
    ends: list[str] = []

    async def nothing(ahead: int) -> None:
        pass

    async def job(tenant: str) -> None:
        try:
            async with admission.acquire_slot(nothing, tenant):
                await end.wait()
        except AdmissionRefused:
            ends.append(tenant)

    jobs = [asyncio.create_task(job("busy")) for _ in range(4)]
    await settle()
    jobs.append(asyncio.create_task(job("busy")))
    await settle()
    assert ends == ["busy"]
    jobs.append(asyncio.create_task(job("small")))
    await settle()
    assert ends == ["busy", "busy"]
    assert admission.waiting == 3
    end.set()
    await asyncio.gather(*jobs)
    assert admission.running == admission.waiting == 0
