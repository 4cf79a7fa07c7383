"""The examples of keys and usage have the fields of the server's answers."""

from typing import Any

import msgspec
import pytest

from api.admin.models import KeyRecord, OwnUsage, UsageReport
from api.core.dialect_names import DIALECTS, NO_DIALECT
from tests.support.manual import find_section, list_code_blocks


def example(title: str) -> bytes:
    [found] = [text for language, text in list_code_blocks(find_section(title)) if language == "json"]
    return found.encode()


@pytest.mark.parametrize(
    ("title", "answer"),
    [
        ("`GET /api/admin/keys` and `POST /api/admin/keys`", KeyRecord),
        ("`GET /api/usage`", UsageReport),
        ("`GET /api/usage/me`", OwnUsage),
    ],
)
def test_an_example_has_the_fields_of_the_answer(title: str, answer: type[Any]):
    """Every field, and no other."""
    shown = msgspec.json.decode(example(title))
    read = msgspec.to_builtins(msgspec.convert(shown, answer))
    assert read == shown


def test_the_dialects_are_named_with_metrics_and_usage():
    """By the same names."""
    for text in (find_section("`GET /api/usage`"), find_section("Metrics")):
        assert [name for name in DIALECTS if f"`{name}`" not in text] == []
    assert f"`{NO_DIALECT}` is every other address" in " ".join(find_section("Metrics").split())
