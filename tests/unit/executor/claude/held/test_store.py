"""What is held is given out once, to its own conversation, and ended by each limit. No real processes."""

import asyncio
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from executor.claude.cli.process import CliProcess
from executor.claude.held.limits import HeldLimits, build_limits, read_available_memory, read_private_memory
from executor.claude.held.store import HeldProcess, HeldProcesses
from shared.conversation import Conversation, identify, identify_next
from shared.turn import Message, Text, Turn
from tests.support.stack import wait_until

MB = 1024 * 1024


class FakeProcess:
    """What the store sees of a process."""

    def __init__(self, pid: int) -> None:
        self.process = SimpleNamespace(returncode=None, pid=pid)
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def exit(self) -> None:
        """It ends by itself."""
        self.process.returncode = 1
        self.exited.set_result(1)


class StoreFixture:
    """A store. Mutable: the pids that were discarded, and the memory of each process."""

    def __init__(self, max_processes: int = 3, ttl: float = 600, max_mb: int = 1000) -> None:
        self.discarded: list[int] = []
        self.memory: dict[int, int] = {}
        limits = HeldLimits(max_processes, ttl, max_mb * MB)
        self.store = HeldProcesses(limits, self._discard, lambda pid: self.memory.get(pid, 10) * MB)

    def _discard(self, process: CliProcess) -> None:
        self.discarded.append(process.process.pid)

    def hold(self, number: int, key: str = "k", *, turns: int = 1, ttl: float = 600) -> FakeProcess:
        """Holds a process of the conversation `number`."""
        process = FakeProcess(number)
        self.store.hold(cast("Any", process), build_held(number, key), 0.5, turns, ttl)
        return process

    def take(self, number: int, key: str = "k", **changes: Any) -> int | str:
        """Returns the pid of the process that continues the conversation, or the reason."""
        taken = self.store.take(build_next(number, key, **changes))
        return taken.process.process.pid if isinstance(taken, HeldProcess) else taken


def build_turn(number: int, *texts: str, **changes: Any) -> Turn:
    roles = ("user", "assistant", "user")
    messages = [Message(role, (Text(text),)) for role, text in zip(roles, (f"question {number}", *texts), strict=False)]
    return Turn(changes.pop("model", "sonnet"), tuple(messages), **changes)


def build_held(number: int, key: str) -> tuple[Conversation, ...]:
    return identify_next(identify(build_turn(number), key), (Text("answer"),))


def build_next(number: int, key: str, answer: str = "answer", **changes: Any) -> Conversation:
    return identify(build_turn(number, answer, "more", **changes), key)


async def test_a_process_is_given_out_once():
    """The second request with the same beginning is a branch; nothing is ended."""
    fixture = StoreFixture()
    fixture.hold(1)
    assert [fixture.take(1), fixture.take(1)] == [1, "branch"]
    assert (fixture.discarded, fixture.store.hits, fixture.store.replays) == ([], 1, {"branch": 1})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "opus"}, "model_changed"),
        ({"system": ("It is 12:00.",)}, "system_changed"),
        ({"max_tokens": 5}, "settings_changed"),
        ({"answer": "Another."}, "history_changed"),
    ],
)
async def test_a_difference_is_named(changes: dict[str, Any], reason: str):
    """The process stays held, for the request that fits."""
    fixture = StoreFixture()
    fixture.hold(1)
    assert [fixture.take(1, **changes), fixture.take(1)] == [reason, 1]


async def test_another_key_gets_nothing():
    """It gets neither the process nor a reason that tells of it."""
    fixture = StoreFixture()
    fixture.hold(1)
    assert [fixture.take(1, "other"), fixture.take(1, "other", model="opus")] == ["not_held", "not_held"]


async def test_at_most_so_many_are_held_and_the_least_valuable_goes_first():
    """A question that was asked once goes before a conversation of two turns, the oldest first."""
    fixture = StoreFixture(2)
    fixture.hold(1, turns=2)
    fixture.hold(2)
    fixture.hold(3)
    assert fixture.discarded == [2]
    assert [fixture.take(number) for number in (1, 2, 3)] == [1, "max_processes", 3]
    assert fixture.store.ends == {"max_processes": 1}


async def test_a_key_makes_room_for_its_own():
    """A batch of one key ends no conversation of another."""
    fixture = StoreFixture(3)
    fixture.hold(1, "agent")
    for number in (2, 3, 4, 5):
        fixture.hold(number, "batch", turns=9)
    assert (fixture.discarded, fixture.take(1, "agent")) == ([2, 3], 1)


async def test_memory_is_bounded():
    """A process that is over the limit by itself is not held, and ends no other."""
    fixture = StoreFixture(max_mb=100)
    fixture.memory = {1: 60, 2: 60, 3: 500}
    fixture.hold(1)
    fixture.hold(2)
    assert (fixture.discarded, fixture.store.memory_bytes) == ([1], 60 * MB)
    fixture.hold(3)
    assert (fixture.discarded, fixture.take(2)) == ([1], 2)


async def test_a_job_that_ran_when_its_key_ended_holds_nothing():
    """Its key may be used again later: a job that starts then holds its process."""
    fixture = StoreFixture()
    started_at = asyncio.get_running_loop().time()
    fixture.store.end_key("k", "requested")
    assert (fixture.store.may_hold("k", started_at), fixture.store.may_hold("other", started_at)) == (False, True)
    await asyncio.sleep(0.01)
    assert fixture.store.may_hold("k", asyncio.get_running_loop().time())
    fixture.store.end_key(None, "requested")
    assert not fixture.store.may_hold("other", started_at)


async def test_a_hit_that_failed_is_a_replay():
    """The counts are those of the header."""
    fixture = StoreFixture()
    fixture.hold(1)
    fixture.take(1)
    fixture.store.record_failed_hit("process_ended")
    assert (fixture.store.hits, fixture.store.replays, fixture.store.ends) == (
        0,
        {"process_ended": 1},
        {"process_ended": 1},
    )


async def test_a_process_that_is_held_again_keeps_no_trace_of_its_earlier_turns():
    """A conversation may have thousands."""
    fixture = StoreFixture()
    process = FakeProcess(1)
    for _ in range(5):
        fixture.store.hold(cast("Any", process), build_held(1, "k"), 0.5, 1, 600)
        fixture.take(1)
    assert not process.exited._callbacks


async def test_the_time_of_the_store_or_of_the_key_ends_it():
    """Whichever comes first; a key that has expired by now holds nothing."""
    fixture = StoreFixture(ttl=0.01)
    fixture.hold(1)
    await wait_until(lambda: fixture.discarded == [1])
    assert fixture.take(1) == "expired"
    fixture = StoreFixture()
    fixture.hold(2, ttl=0.01)
    await wait_until(lambda: fixture.discarded == [2])
    fixture.hold(3, ttl=-1)
    assert (len(fixture.store), fixture.store.ends) == (0, {"expired": 1})


async def test_a_process_that_ends_by_itself_is_forgotten():
    """Before and after its end is noticed."""
    fixture = StoreFixture()
    fixture.hold(1).exit()
    await wait_until(lambda: not len(fixture.store))
    assert fixture.take(1) == "process_ended"
    fixture.hold(2).process.returncode = 1
    assert fixture.take(2) == "process_ended"
    assert fixture.discarded == [1, 2]


async def test_a_key_ends_its_own_and_the_administrator_all():
    """The counts are those of the answer to the request."""
    fixture = StoreFixture()
    fixture.hold(1, "a")
    fixture.hold(2, "a")
    fixture.hold(3, "b")
    assert (fixture.store.end_key("a", "requested"), fixture.discarded) == (2, [1, 2])
    assert (fixture.store.end_key(None, "requested"), fixture.discarded) == (1, [1, 2, 3])
    assert fixture.take(1, "a") == "requested"


async def test_after_the_close_nothing_is_held():
    """An answer that ends while the executor drains."""
    fixture = StoreFixture()
    fixture.hold(1)
    fixture.store.close()
    assert (fixture.discarded, fixture.store.may_hold("k", asyncio.get_running_loop().time() + 1)) == ([1], False)


async def test_the_same_answer_to_the_same_request_is_held_once():
    """The earlier process is ended."""
    fixture = StoreFixture()
    fixture.hold(1)
    other = FakeProcess(9)
    fixture.store.hold(cast("Any", other), build_held(1, "k"), 0.5, 1, 600)
    assert (fixture.discarded, fixture.take(1)) == ([1], 9)


async def test_room_is_made_for_a_process_that_is_needed():
    """Until there is none left to end."""
    fixture = StoreFixture()
    fixture.hold(1)
    assert [bool(fixture.store.end_least_valuable("process_needed")) for _ in range(2)] == [True, False]
    assert fixture.take(1) == "process_needed"


@pytest.mark.parametrize(
    ("available_mb", "slots", "expected"), [(480, 4, 1), (4_800, 4, 10), (48_000, 4, 16), (100, 4, 0)]
)
def test_the_default_is_what_fits(available_mb: int, slots: int, expected: int):
    """A quarter of the memory, and four for each slot."""
    limits = build_limits(None, 300, None, slots, available_mb * MB)
    assert (limits.max_processes, limits.max_bytes) == (expected, available_mb * MB // 4)


def test_settings_replace_the_defaults():
    """Each by itself."""
    assert build_limits(0, 300, None, 4, 4_000 * MB).max_processes == 0
    assert build_limits(None, 300, 240, 4, 4_000 * MB) == HeldLimits(2, 300, 240 * MB)


def test_memory_is_read_from_the_kernel():
    """Of this host and of this process."""
    assert 0 < read_private_memory(os.getpid()) < read_available_memory() + 10_000 * MB
    assert read_private_memory(2**22 + 1) == 0
