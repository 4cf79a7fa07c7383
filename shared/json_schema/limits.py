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


class SchemaBudget:
    """The remaining budget for the schemas of one request. Mutable: it decreases."""

    def __init__(self) -> None:
        self._bytes = MAX_SCHEMA_BYTES
        self._values = MAX_SCHEMA_VALUES
        self._references = MAX_REFERENCES
        self._pattern_characters = MAX_PATTERN_CHARACTERS

    def charge_schema(self, schema: object) -> None:
        """Charges the size of a schema. Raises SchemaFault when it is too large or too deep."""
        self._bytes -= len(msgspec.json.encode(schema))
        if self._bytes < 0:
            raise SchemaFault(
                (), f"is too large: the schemas of a request may have {MAX_SCHEMA_BYTES:,} bytes; shorten it"
            )
        level: list[object] = [schema]
        depth = 0
        while level:
            self._values -= len(level)
            if self._values < 0:
                message = f"is too large: the schemas of a request may hold {MAX_SCHEMA_VALUES:,} objects and lists; shorten it"
                raise SchemaFault((), message)
            if depth > MAX_SCHEMA_DEPTH:
                raise SchemaFault((), f"has more than {MAX_SCHEMA_DEPTH} levels; move its inner parts to `$defs`")
            level = [child for part in level for child in _list_containers(part)]
            depth += 1

    def charge_pattern(self, pattern: str, path: tuple[Step, ...]) -> None:
        """Charges a pattern. Raises SchemaFault when it is too long."""
        self._pattern_characters -= len(pattern)
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise SchemaFault(path, f"is too long: a pattern may have {MAX_PATTERN_LENGTH:,} characters; shorten it")
        if self._pattern_characters < 0:
            message = (
                f"is over the limit: the patterns of a request may have {MAX_PATTERN_CHARACTERS:,} characters in total"
            )
            raise SchemaFault(path, message)

    def charge_reference(self, path: tuple[Step, ...]) -> None:
        """Charges a reference. Raises SchemaFault when there are too many."""
        self._references -= 1
        if self._references < 0:
            message = f"is over the limit: the schemas of a request may have {MAX_REFERENCES:,} different references"
            raise SchemaFault(path, message)


def _list_containers(part: object) -> Iterator[object]:
    values = cast("dict[str, object]", part).values() if isinstance(part, dict) else cast("list[object]", part)
    yield from (cast("object", value) for value in values if isinstance(value, dict | list))
