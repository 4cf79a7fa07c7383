"""The size limits for the schemas of a request.

Invariants: these limits bound the work on a schema before its use, whatever it contains.
"""

from collections.abc import Iterator
from typing import cast

import msgspec

from shared.json_schema.faults import SchemaFault
from shared.text.json_path import Step

# More than fits into a model's context.
MAX_SCHEMA_BYTES = 4 * 1024 * 1024
MAX_SCHEMA_VALUES = 30_000
MAX_SCHEMA_DEPTH = 64
MAX_REFERENCES = 5_000
MAX_PATTERN_LENGTH = 10_000
MAX_PATTERN_CHARACTERS = 100_000


# What the schemas of a request may use in total, and the fault of a schema that uses more.
BUDGETS = {
    "bytes": (MAX_SCHEMA_BYTES, "is too large: the schemas of a request may have {:,} bytes; shorten it"),
    "values": (
        MAX_SCHEMA_VALUES,
        "is too large: the schemas of a request may hold {:,} objects and lists; shorten it",
    ),
    "references": (MAX_REFERENCES, "is over the limit: the schemas of a request may have {:,} different references"),
    "pattern characters": (
        MAX_PATTERN_CHARACTERS,
        "is over the limit: the patterns of a request may have {:,} characters in total",
    ),
}


class SchemaBudget:
    """The remaining budget for the schemas of one request. Mutable: it decreases."""

    def __init__(self) -> None:
        self._left = {what: most for what, (most, _) in BUDGETS.items()}

    def charge_schema(self, schema: object) -> None:
        """Charges the size of a schema. Raises SchemaFault when it is too large or too deep."""
        self._charge("bytes", len(msgspec.json.encode(schema)), ())
        level: list[object] = [schema]
        depth = 0
        while level:
            self._charge("values", len(level), ())
            if depth > MAX_SCHEMA_DEPTH:
                raise SchemaFault((), f"has more than {MAX_SCHEMA_DEPTH} levels; move its inner parts to `$defs`")
            level = [child for part in level for child in _list_containers(part)]
            depth += 1

    def charge_pattern(self, pattern: str, path: tuple[Step, ...]) -> None:
        """Charges a pattern. Raises SchemaFault when it is too long."""
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise SchemaFault(path, f"is too long: a pattern may have {MAX_PATTERN_LENGTH:,} characters; shorten it")
        self._charge("pattern characters", len(pattern), path)

    def charge_reference(self, path: tuple[Step, ...]) -> None:
        """Charges a reference. Raises SchemaFault when there are too many."""
        self._charge("references", 1, path)

    def _charge(self, what: str, amount: int, path: tuple[Step, ...]) -> None:
        self._left[what] -= amount
        if self._left[what] < 0:
            most, fault = BUDGETS[what]
            raise SchemaFault(path, fault.format(most))


def _list_containers(part: object) -> Iterator[object]:
    values = cast("dict[str, object]", part).values() if isinstance(part, dict) else cast("list[object]", part)
    yield from (cast("object", value) for value in values if isinstance(value, dict | list))
