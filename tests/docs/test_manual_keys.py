"""What the manual shows of keys and usage is what the server answers, field by field."""

from typing import Any

import msgspec
import pytest

from api.admin.models import KeyRecord, OwnUsage, UsageReport
from api.core.dialect_names import DIALECTS, NONE
from tests.support.manual import blocks, section


def example(title: str) -> bytes:
    [found] = [text for language, text in blocks(title) if language == "json"]
    return found.encode()


@pytest.mark.parametrize(
    ("title", "answer"),
    [
        ("`GET /api/admin/keys` and `POST /api/admin/keys`", KeyRecord),
        ("`GET /api/usage`", UsageReport),
        ("`GET /api/usage/me`", OwnUsage),
    ],
)
def test_an_answer_is_shown_as_it_is(title: str, answer: type[Any]):
    """With every field, and no other."""
    shown = msgspec.json.decode(example(title))
    read = msgspec.to_builtins(msgspec.convert(shown, answer))
    assert read == shown


def test_the_dialects_are_named_where_metrics_and_usage_are():
    """By the same names."""
    for text in (section("`GET /api/usage`"), section("Metrics")):
        assert [name for name in DIALECTS if f"`{name}`" not in text] == []
    assert f"`{NONE}` is every other address" in section("Metrics")
