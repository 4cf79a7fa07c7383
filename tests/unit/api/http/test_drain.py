"""Ending without cutting anyone off."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from api.http.drain import REFUSAL_DELAY, Drain
from shared.errors import ErrorKind
from shared.events import Failed
from tests.support.timeouts import TEST_TIMEOUT

SOON = 0.01
GIVEN_UP = Failed(ErrorKind.DRAINING, retry_after=1)


class Clock:
    """Stands for the event loop's: what it is asked to call later is called when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._call_later)

    def _call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.due.append((delay, callback))

    def strike(self) -> None:
        """All of the time is up."""
        while self.due:
            self.tick()

    def tick(self) -> None:
        """The first of the times is up."""
        self.due.sort(key=lambda due: due[0])
        _, callback = self.due.pop(0)
        callback()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    return Clock(monkeypatch)


async def test_before_it_begins_nothing_happens() -> None:
    """It is only ready to."""
    drain = Drain(3)
    assert not drain.is_draining
    assert drain.grace == 3


async def test_it_begins_at_once_and_ends_jobs_after_the_grace_period(clock: Clock) -> None:
    """New work is refused once what was on its way has come; running jobs have the whole of the period."""
    drain, told = Drain(3), list[Failed]()
    with drain.track_job(told.append):
        drain.begin()
        assert (drain.is_draining, drain.is_refusing) == (True, False)
        assert told == []
        assert [delay for delay, _ in clock.due] == [REFUSAL_DELAY, 3]
        clock.tick()
        assert drain.is_refusing
        assert told == []
        clock.tick()
        assert told == [GIVEN_UP]
    assert drain.is_draining


async def test_every_running_job_gets_its_last_word(clock: Clock) -> None:
    """Each one once."""
    drain, one, other = Drain(3), list[Failed](), list[Failed]()
    with drain.track_job(one.append), drain.track_job(other.append):
        drain.begin()
        clock.strike()
    assert one == other == [GIVEN_UP]


async def test_a_second_signal_changes_nothing(clock: Clock) -> None:
    """It begins once: the period does not start again, and each listener is called once."""
    drain = Drain(3)
    drain.begin()
    drain.begin()
    assert len(clock.due) == 2


async def test_a_job_that_ended_in_time_is_left_alone(clock: Clock) -> None:
    """Also one that failed."""
    drain, told = Drain(3), list[Failed]()
    with drain.track_job(told.append):
        drain.begin()
    with pytest.raises(RuntimeError), drain.track_job(told.append):
        raise RuntimeError
    clock.strike()
    assert told == []


async def test_a_job_that_slipped_in_after_the_beginning_is_ended_too(clock: Clock) -> None:
    """It was on its way when the drain began."""
    drain, told = Drain(3), list[Failed]()
    drain.begin()
    with drain.track_job(told.append):
        clock.strike()
        assert told == [GIVEN_UP]


async def test_a_job_may_leave_while_jobs_are_told(clock: Clock) -> None:
    """Ending one may end another."""
    drain, told = Drain(3), list[Failed]()
    contexts: list[AbstractContextManager[None]] = []

    def leave(failed: Failed) -> None:
        told.append(failed)
        while contexts:
            contexts.pop().__exit__(None, None, None)

    for _ in range(3):
        contexts.append(drain.track_job(leave))
        contexts[-1].__enter__()
    drain.begin()
    clock.strike()
    assert told
    assert set(told) == {GIVEN_UP}


async def test_the_event_loop_keeps_the_time() -> None:
    """Without any stand-in, and without a period at all."""
    for grace in (0, SOON):
        drain, told = Drain(grace), asyncio.get_running_loop().create_future()
        with drain.track_job(told.set_result):
            drain.begin()
            async with asyncio.timeout(TEST_TIMEOUT):
                assert await told == GIVEN_UP


async def test_what_only_waits_is_ended_at_once_and_once():
    """It needs no grace; what has ended by itself is left alone."""
    left: list[str] = []
    drain = Drain(60)
    with drain.track_waiter(lambda: left.append("gone")):
        pass
    with drain.track_waiter(lambda: left.append("waits")):
        drain.begin()
        drain.begin()
    assert left == ["waits"]
