"""How large the schemas of a request may be.

Invariants: the work that a schema makes before it is used is bounded by these, whatever is in it.
"""

from collections.abc import Iterator
from typing import cast

import msgspec

from shared.json_schema.faults import SchemaFault
from shared.text.json_path import Step

# More than a model's context holds.
MOST_BYTES = 4 * 1024 * 1024
MOST_VALUES = 30_000
DEEPEST = 64
MOST_REFERENCES = 5_000
LONGEST_PATTERN = 10_000
MOST_PATTERN_CHARACTERS = 100_000


class Allowance:
    """What the schemas of one request may still take. Mutable: what is left."""

    def __init__(self) -> None:
        self._bytes = MOST_BYTES
        self._values = MOST_VALUES
        self._references = MOST_REFERENCES
        self._pattern_characters = MOST_PATTERN_CHARACTERS

    def take_schema(self, schema: object) -> None:
        """Takes the size of a schema. Raises SchemaFault when it is too large or too deep."""
        self._bytes -= len(msgspec.json.encode(schema))
        if self._bytes < 0:
            raise SchemaFault((), f"is too large: the schemas of a request may have {MOST_BYTES:,} bytes; shorten it")
        level: list[object] = [schema]
        depth = 0
        while level:
            self._values -= len(level)
            if self._values < 0:
                message = (
                    f"is too large: the schemas of a request may hold {MOST_VALUES:,} objects and lists; shorten it"
                )
                raise SchemaFault((), message)
            if depth > DEEPEST:
                raise SchemaFault((), f"is nested more than {DEEPEST} deep; name its inner parts in `$defs`")
            level = [child for part in level for child in _list_containers(part)]
            depth += 1

    def take_pattern(self, pattern: str, path: tuple[Step, ...]) -> None:
        """Takes a pattern. Raises SchemaFault when it is too long."""
        self._pattern_characters -= len(pattern)
        if len(pattern) > LONGEST_PATTERN:
            raise SchemaFault(path, f"is too long: a pattern may have {LONGEST_PATTERN:,} characters; shorten it")
        if self._pattern_characters < 0:
            message = f"is one too many: the patterns of a request may have {MOST_PATTERN_CHARACTERS:,} characters"
            raise SchemaFault(path, message)

    def take_reference(self, path: tuple[Step, ...]) -> None:
        """Takes a reference. Raises SchemaFault when there are too many."""
        self._references -= 1
        if self._references < 0:
            message = f"is one too many: the schemas of a request may have {MOST_REFERENCES:,} different references"
            raise SchemaFault(path, message)


def _list_containers(part: object) -> Iterator[object]:
    values = cast("dict[str, object]", part).values() if isinstance(part, dict) else cast("list[object]", part)
    yield from (cast("object", value) for value in values if isinstance(value, dict | list))
