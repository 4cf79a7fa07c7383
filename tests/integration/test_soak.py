"""A short soak test with a fixed seed; `make soak` runs a longer one and prints a table."""

import pytest

from tests.load.soak.load import ALL
from tests.load.soak.run import GROWTH, Plan, soak
from tests.support.examples import count_examples

REQUESTS = count_examples(40, 120)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_request_ends_with_the_right_answer_or_a_proper_error_under_faults():
    """Afterwards no process and no descriptor is left, and the API uses hardly more memory."""
    report = await soak(Plan(clients=4, requests=REQUESTS, trouble=0.15))
    assert report.wrong == []
    assert report.left == []
    assert set(report.outcomes) == {ask.__name__ for ask in ALL}
    assert all(counted.get("right") for counted in report.outcomes.values()), report.outcomes
    assert report.replies.keys() - {"AnswerReply"}, report.replies
    assert sum(report.kills.values()) > 2, report.kills
    assert report.after.descriptors <= report.before.descriptors
    assert report.after.memory - report.before.memory < GROWTH
