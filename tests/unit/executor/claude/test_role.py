"""The role takes processes from the pool; where none can be started, held ones make room."""

from pathlib import Path
from typing import Any, cast

import pytest

from executor.admission import Admission
from executor.claude.cli.process import CliCrashed
from executor.claude.held.limits import HeldLimits
from executor.claude.role import ClaudeRole
from executor.claude.tool_results import ToolResultRouter
from shared.conversation import identify, identify_next
from shared.errors import ErrorKind
from shared.events import Event, Failed
from shared.turn import Message, Text, Turn
from shared.wire import Submit
from tests.unit.executor.claude.held.test_store import FakeProcess

TURN = Turn("sonnet", (Message("user", (Text("hi"),)),))


async def test_a_held_process_makes_room_when_no_other_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One is ended, and the start is tried again when its end is complete."""
    role = ClaudeRole(
        None, Admission(1, 1, 1), 0, tmp_path, "sonnet", offline=False, held_limits=HeldLimits(4, 60, 2**30)
    )
    discarded: list[FakeProcess] = []

    def discard(process: FakeProcess) -> None:
        discarded.append(process)
        process.exit()

    monkeypatch.setattr(role.held, "_discard", discard)
    for number in range(2):
        process = cast("Any", FakeProcess(number))
        role.held.hold(process, identify_next(identify(TURN, str(number)), (Text("a"),)), 0.0, 1, 60)
    attempts: list[int] = []

    async def take() -> Any:
        attempts.append(len(role.held))
        raise CliCrashed("no process can be started")

    monkeypatch.setattr(role._pool, "take", take)
    events: list[Event] = []

    async def emit(event: Event) -> None:
        events.append(event)

    await role.run(Submit(TURN, "req_1"), ToolResultRouter(), emit)
    assert (attempts, len(discarded)) == ([2, 1], 1)
    assert events == [Failed(ErrorKind.CLI_FAILED)]
