"""The process pool, with fake processes."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import executor.claude.cli.pool
from executor.claude.cli.credential import find_credential
from executor.claude.cli.launch import Launch
from executor.claude.cli.pool import INITIAL_RETRY_DELAY, MAX_RETRY_DELAY, ProcessPool
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.sandbox import CliSandbox
from executor.sandbox.landlock import Rules
from tests.support.timeouts import TEST_TIMEOUT


class Fake(CliProcess):
    """What Parking sees of a process. said: what was done to it, in order."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.said: list[object] = []
        self.process = cast("Any", SimpleNamespace(returncode=None, pid=number))
        self._end = asyncio.Event()
        self.exited = asyncio.create_task(self._exit())
        self.buried = asyncio.Event()

    async def _exit(self) -> int:
        await self._end.wait()
        return -9

    def die(self) -> None:
        """It ends by itself."""
        self.process.returncode = -9
        self._end.set()

    def set_niceness(self, nice: int) -> None:
        self.said.append(nice)

    def kill(self) -> None:
        self.said.append("killed")
        self.die()

    async def clean_up(self) -> None:
        await self.exited
        self.said.append("buried")
        self.buried.set()


class Yard:
    """Starts fakes as Parking asks for them. Mutable: what was started, and what is to go wrong."""

    def __init__(self, size: int) -> None:
        self.made: list[Fake] = []
        self.failures: list[str] = []
        self.warm_failures: list[BaseException] = []
        self.starting = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.parking = ProcessPool(self.start, self.warm, size, start_delay=0)

    async def start(self) -> CliProcess:
        """One more fake, or a failure."""
        if self.failures:
            raise CliCrashed(self.failures.pop(0))
        fake = Fake(len(self.made))
        self.made.append(fake)
        return fake

    async def warm(self, process: CliProcess) -> None:
        """Wait until the gate is open."""
        assert isinstance(process, Fake)
        process.said.append("warming")
        self.starting += 1
        try:
            await self.gate.wait()
        finally:
            self.starting -= 1
        if self.warm_failures:
            raise self.warm_failures.pop(0)

    async def take(self) -> tuple[Fake, bool]:
        """As Parking's, for a fake."""
        process, is_warm = await self.parking.take()
        assert isinstance(process, Fake)
        return process, is_warm


async def until(condition: Callable[[], bool]) -> None:
    """Give the other tasks their turns until this holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


@asynccontextmanager
async def yard(size: int) -> AsyncGenerator[Yard]:
    """A yard whose parking is closed in the end, in bounded time."""
    made = Yard(size)
    try:
        yield made
    finally:
        async with asyncio.timeout(TEST_TIMEOUT):
            await made.parking.close()
            for fake in made.made:
                fake.die()
            await asyncio.gather(*(fake.exited for fake in made.made))


@asynccontextmanager
async def full(size: int) -> AsyncGenerator[Yard]:
    """A yard with every place taken."""
    async with yard(size) as made:
        made.parking.open()
        await until(lambda: made.parking.idle == size)
        yield made


async def idle() -> None:
    """Give every task as many turns as it could want."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_the_pool_has_exactly_its_size() -> None:
    """The size is a limit and a promise; its repr tells."""
    async with full(3) as made:
        await idle()
        assert len(made.made) == 3
        assert repr(made.parking) == "<ProcessPool [3/3 ready]>"


async def test_nothing_starts_before_it_is_opened() -> None:
    """Who builds it decides when."""
    async with yard(2) as made:
        await idle()
        assert made.made == []


async def test_size_zero_keeps_no_process_and_still_serves() -> None:
    """Every conversation then starts cold."""
    async with full(0) as made:
        await idle()
        assert made.made == []
        process, is_warm = await made.take()
        assert not is_warm
        assert process.process.returncode is None


async def test_one_starts_at_a_time() -> None:
    """Starting takes CPU from the answers under way: the second waits for the first to be ready."""
    async with yard(3) as made:
        made.gate.clear()
        made.parking.open()
        await until(lambda: made.starting == 1)
        await idle()
        assert (made.starting, len(made.made), made.parking.idle) == (1, 1, 0)
        made.gate.set()
        await until(lambda: made.parking.idle == 3)


async def test_a_process_yields_the_cpu_until_it_is_ready() -> None:
    """Least favoured first, then warmed, then as favoured as any."""
    async with full(1) as made:
        assert made.made[0].said == [19, "warming", 0]


async def test_the_process_that_was_idle_longest_is_taken_and_replaced() -> None:
    """A process serves once; the next is started at once."""
    async with full(2) as made:
        process, is_warm = await made.take()
        assert is_warm
        assert process is made.made[0]
        await until(lambda: made.parking.idle == 2)
        assert len(made.made) == 3
        assert made.parking.idle == 2
        assert await made.take() == (made.made[1], True)


async def test_a_taken_process_is_replaced_only_when_its_conversation_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Starting a process holds the others up."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        made.parking._start_delay = 0
        await asyncio.sleep(0)

    async with full(1) as made:
        made.parking._start_delay = 3600
        monkeypatch.setattr(executor.claude.cli.pool, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
        await made.take()
        await until(lambda: made.parking.idle == 1)
        assert len(rests) == 1
        assert 3600 - TEST_TIMEOUT < rests[0] <= 3600


async def test_a_process_is_never_given_twice() -> None:
    """Each conversation has a process of its own, warm or cold."""
    async with full(2) as made:
        taken = await asyncio.gather(*(made.take() for _ in range(6)))
        assert len({process.number for process, _ in taken}) == 6
        assert [is_warm for _, is_warm in taken].count(True) == 2


async def test_an_empty_pool_gives_a_cold_process_at_once() -> None:
    """One that is being started for the parking is not what a conversation waits for."""
    async with yard(1) as made:
        made.gate.clear()
        made.parking.open()
        await until(lambda: made.starting == 1)
        async with asyncio.timeout(TEST_TIMEOUT):
            process, is_warm = await made.take()
        assert not is_warm
        assert process is made.made[1]
        assert process.said == []


async def test_a_cold_start_that_fails_is_the_callers_to_know() -> None:
    """A conversation without a process ends at once."""
    async with yard(0) as made:
        made.failures.append("no memory")
        with pytest.raises(CliCrashed, match="no memory"):
            await made.take()


async def test_an_idle_process_that_dies_is_discarded_and_replaced() -> None:
    """Without a request in between."""
    async with full(2) as made:
        dead = made.made[0]
        dead.die()
        await until(lambda: len(made.made) == 3 and made.parking.idle == 2)
        async with asyncio.timeout(TEST_TIMEOUT):
            await dead.buried.wait()
        assert [await made.take(), await made.take()] == [(made.made[1], True), (made.made[2], True)]


async def test_a_process_that_has_just_died_is_not_given_out() -> None:
    """Though nobody has noticed yet: the next one is."""
    async with full(2) as made:
        made.made[0].process.returncode = 1
        assert await made.take() == (made.made[1], True)
        async with asyncio.timeout(TEST_TIMEOUT):
            await made.made[0].buried.wait()


async def test_when_all_idle_processes_have_just_died_a_cold_one_is_given() -> None:
    """A conversation never gets a dead process."""
    async with full(2) as made:
        for fake in made.made:
            fake.process.returncode = 1
        process, is_warm = await made.take()
        assert not is_warm
        assert process.process.returncode is None


async def test_the_end_of_a_taken_process_starts_nothing() -> None:
    """It is no longer the parking's to replace."""
    async with full(1) as made:
        process, _ = await made.take()
        await until(lambda: made.parking.idle == 1)
        process.die()
        await idle()
        assert len(made.made) == 2
        assert "buried" not in process.said


class Pauses:
    """Stands for asyncio in the parking: its sleep is over at once and remembered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[float] = []
        self.problems: list[str] = []
        self.yard: Yard | None = None
        stand_in = SimpleNamespace(**{**vars(asyncio), "sleep": self.sleep})
        monkeypatch.setattr(executor.claude.cli.pool, "asyncio", stand_in)

    async def sleep(self, seconds: float) -> None:
        """What a pause is."""
        assert self.yard
        self.taken.append(seconds)
        self.problems.append(self.yard.parking.problem)
        await asyncio.sleep(0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The parking's pauses."""
    return Pauses(monkeypatch)


async def test_a_start_that_fails_is_tried_again_after_ever_longer_pauses(pauses: Pauses) -> None:
    """Each twice as long, up to a limit; the problem is told all the while, and gone when it is gone."""
    async with yard(1) as made:
        pauses.yard = made
        made.failures = ["no memory"] * 8
        made.parking.open()
        await until(lambda: made.parking.idle == 1)
        assert pauses.taken == [INITIAL_RETRY_DELAY, 1, 2, 4, 8, 16, MAX_RETRY_DELAY, MAX_RETRY_DELAY]
        assert pauses.problems == ["no memory"] * 8
        assert made.parking.problem == ""


async def test_after_a_success_the_pauses_are_short_again(pauses: Pauses) -> None:
    """A problem of yesterday does not slow down today."""
    async with yard(1) as made:
        pauses.yard = made
        made.failures = ["a", "b"]
        made.parking.open()
        await until(lambda: made.parking.idle == 1)
        made.failures = ["c"]
        await made.take()
        await until(lambda: made.parking.idle == 1)
        assert pauses.taken == [INITIAL_RETRY_DELAY, 2 * INITIAL_RETRY_DELAY, INITIAL_RETRY_DELAY]
        assert pauses.problems == ["a", "b", "c"]


async def test_a_process_that_does_not_get_warm_is_discarded_and_reported(pauses: Pauses) -> None:
    """It does not enter the pool, and it is ended."""
    async with yard(1) as made:
        pauses.yard = made
        made.warm_failures.append(CliCrashed("it did not answer in time"))
        made.parking.open()
        await until(lambda: made.parking.idle == 1)
        assert pauses.problems == ["it did not answer in time"]
        assert made.made[0].said == [19, "warming", "killed", "buried"]
        assert await made.take() == (made.made[1], True)


async def test_closing_ends_every_idle_process_and_waits_for_it() -> None:
    """Nothing is left, and nothing is started any more."""
    async with full(3) as made:
        async with asyncio.timeout(TEST_TIMEOUT):
            await made.parking.close()
        assert [fake.said[-2:] for fake in made.made] == [["killed", "buried"]] * 3
        assert repr(made.parking) == "<ProcessPool [0/3 ready]>"
        await idle()
        assert len(made.made) == 3


async def test_closing_ends_a_process_that_is_being_started() -> None:
    """It belongs to nobody else."""
    async with yard(1) as made:
        made.gate.clear()
        made.parking.open()
        await until(lambda: made.starting == 1)
        async with asyncio.timeout(TEST_TIMEOUT):
            await made.parking.close()
        assert made.made[0].said[-2:] == ["killed", "buried"]


async def test_closing_waits_for_processes_that_are_being_discarded() -> None:
    """A conversation's process may be on its way out when the executor ends."""
    async with full(1) as made:
        process, _ = await made.take()
        made.parking.discard(process)
        assert process.said[-1] == "killed"
        async with asyncio.timeout(TEST_TIMEOUT):
            await made.parking.close()
        assert process.said[-1] == "buried"


async def test_closing_what_was_never_opened_is_nothing() -> None:
    """An executor without a CLI closes it too."""
    async with yard(2) as made:
        await made.parking.close()
        assert made.made == []


async def test_discarding_kills_at_once_and_cleans_up_later() -> None:
    """The caller does not wait for the remains."""
    async with full(1) as made:
        process, _ = await made.take()
        made.parking.discard(process)
        assert process.said[-1] == "killed"
        async with asyncio.timeout(TEST_TIMEOUT):
            await process.buried.wait()


async def test_a_start_without_a_folder_to_start_in_is_a_lost_cli(tmp_path: Path) -> None:
    """A full or vanished RUN_DIR is a problem to report and to try again, not the end of the parking."""
    launch = Launch(Path("/bin/true"), find_credential({}), None, {}, CliSandbox(Rules()))
    with pytest.raises(CliCrashed, match="No such file or directory"):
        await CliProcess.start(launch, tmp_path / "gone")


async def test_a_binary_that_can_not_be_started_is_a_lost_cli_and_leaves_no_folder(tmp_path: Path) -> None:
    """The system's own words, without the path."""
    launch = Launch(tmp_path / "not-there", find_credential({}), None, {}, CliSandbox(Rules()))
    with pytest.raises(CliCrashed, match=r"^not-there could not be started: No such file or directory$"):
        await CliProcess.start(launch, tmp_path)
    assert await asyncio.to_thread(os.listdir, tmp_path) == []
