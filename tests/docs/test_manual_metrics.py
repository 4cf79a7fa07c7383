"""The manual's table of metrics is the code's."""

from api.observability.metrics import FAMILIES
from tests.docs.test_manual import find_section, rows


def test_the_metrics_table_is_the_families():
    """Each metric has a row with its kind, its labels and what it says, in the code's order."""
    told = [tuple(row) for row in rows(find_section("Metrics"))]
    assert told == [
        (family.exposed_name, family.kind, labels(family.labels), family.help) for family in FAMILIES.values()
    ]


def labels(names: tuple[str, ...]) -> str:
    """As the table shows them: one alone has lost its quotes as every cell that is a name has."""
    return names[0] if len(names) == 1 else ", ".join(f"`{name}`" for name in names) or "none"
