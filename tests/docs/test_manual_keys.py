"""What the manual shows of keys and usage is what the server answers, field by field."""

from typing import Any

import msgspec
import pytest

from api.admin.models import KeyRecord, OwnUsage, UsageReport
from api.core.dialect_names import DIALECTS, NO_DIALECT
from tests.support.manual import find_section, list_code_blocks


def example(title: str) -> bytes:
    [found] = [text for language, text in list_code_blocks(title) if language == "json"]
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
    for text in (find_section("`GET /api/usage`"), find_section("Metrics")):
        assert [name for name in DIALECTS if f"`{name}`" not in text] == []
    assert f"`{NO_DIALECT}` is every other address" in find_section("Metrics")
