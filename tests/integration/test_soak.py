"""A short soak, by a seed; `make soak` is a longer one, with a table."""

import pytest

from tests.load.soak.load import ALL
from tests.load.soak.run import GROWTH, Plan, soak

REQUESTS = 60


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_whatever_goes_wrong_every_request_ends_in_a_right_answer_or_a_right_error():
    """And nothing is left: no process, no descriptor, hardly any memory."""
    report = await soak(Plan(clients=4, requests=REQUESTS))
    assert report.wrong == []
    assert report.left == []
    assert set(report.outcomes) == {ask.__name__ for ask in ALL}
    assert all(counted.get("right") for counted in report.outcomes.values()), report.outcomes
    assert report.replies.keys() - {"Says"}, report.replies
    assert sum(report.kills.values()) > 2, report.kills
    assert report.after.descriptors <= report.before.descriptors
    assert report.after.memory - report.before.memory < GROWTH
