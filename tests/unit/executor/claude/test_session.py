"""The cost of a turn is what the turn itself cost, whatever its processes cost before and however many there are."""

from typing import Any, cast

import pytest

from executor.claude.request.body import build_request
from executor.claude.request.model_rules import PERMISSIVE_RULES
from executor.claude.session import CliSession
from executor.claude.tool_results import ToolResultRouter
from shared.turn import Message, Text, Turn

TURN = Turn("sonnet", (Message("user", (Text("hi"),)),))


@pytest.mark.parametrize(
    ("before", "reported", "cost"),
    [
        (0.0, [0.5], 0.5),
        (2.0, [2.5], 0.5),
        (2.0, [None, 0.6], 0.6),
        (2.0, [2.5, 0.6], 1.1),
        (0.0, [0.5, None, 0.25], 0.75),
    ],
    ids=["new", "held", "held, replaced without a cost", "held, replaced with a cost", "replaced twice"],
)
async def test_cost_is_of_this_turn(before: float, reported: list[float | None], cost: float):
    """reported: the last report of each process; None for a process that was ended before its report."""

    async def take_process() -> Any:
        return None

    async def do_nothing(_process: Any) -> None:
        return None

    session = CliSession(build_request(TURN, PERMISSIVE_RULES, "5m"), ToolResultRouter(), take_process)
    session.send_turn = cast("Any", do_nothing)
    session._cost_before = before
    for number, process_cost in enumerate(reported):
        if number:
            await session._replace_process()
        session._parser.cost_usd = process_cost
    assert session._compute_turn_cost(session._parser.cost_usd) == pytest.approx(cost)
