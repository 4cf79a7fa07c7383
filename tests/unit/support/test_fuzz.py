"""What the soak sends as hostile input."""

import json
import random

import pytest

from tests.load.soak.fuzz import LARGEST, SENDERS, body_of, http_bytes


@pytest.mark.parametrize("kind", sorted(SENDERS))
def test_hostile_input_is_bounded_and_the_same_for_a_seed(kind: str):
    """So that what it finds can be found again, and it ends."""

    def made() -> list[bytes]:
        chance = random.Random(6)
        if kind == "bytes":
            return [http_bytes(chance) for _ in range(50)]
        return [json.dumps(body_of(kind, chance)).encode() for _ in range(50)]

    first = made()
    assert first == made()
    assert len(set(first)) > 20
    assert all(len(each) < 15 * LARGEST for each in first)
