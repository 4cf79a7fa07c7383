"""Matches patterns, in time that is linear in the length of the text.

Invariants: a pattern without lookaround runs in an engine without backtracking. A pattern with lookaround may take a bounded
number of steps; then there is no verdict. (Rust's `regex` and `fancy-regex`, by the library `jsonschema_rs`)
"""

from functools import lru_cache

import jsonschema_rs

from shared.json_schema.patterns.parser import Pattern

MAX_BACKTRACKS = 10_000
# The work that the engines do in the time of one evaluation step.
LINEAR_WORK_PER_STEP = 2_000
BACKTRACKING_WORK_PER_STEP = 1_000


class UnmatchablePattern(Exception):
    """A pattern that the engines reject, or that takes too long."""


class Matcher:
    """A compiled pattern."""

    def __init__(self, pattern: Pattern) -> None:
        """Raises UnmatchablePattern."""
        self._backtracks = pattern.backtracks
        self._weight = pattern.weight
        options = (
            jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS)
            if pattern.backtracks
            else jsonschema_rs.RegexOptions()
        )
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                {"pattern": pattern.rust}, pattern_options=options, offline=True
            )
        except ValueError as error:
            raise UnmatchablePattern from error

    def cost(self, text: str) -> int:
        """Returns the number of steps to match a text."""
        if self._backtracks:
            return 1 + len(text) * MAX_BACKTRACKS // BACKTRACKING_WORK_PER_STEP
        return 1 + len(text) * self._weight // LINEAR_WORK_PER_STEP

    def matches(self, text: str) -> bool:
        """Returns whether the pattern matches anywhere in a text. Raises UnmatchablePattern when that takes too long."""
        try:
            return self._search(text)
        except UnicodeEncodeError:
            # Half of a surrogate pair: the engines accept complete characters only.
            return self._search(text.encode("utf-8", "replace").decode())

    def _search(self, text: str) -> bool:
        if self._validator.is_valid(text):
            return True
        if self._backtracks:
            try:
                self._validator.validate(text)
            except jsonschema_rs.ValidationError as error:
                if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
                    raise UnmatchablePattern from error
        return False


# Keeps the matchers of the patterns that were used last.
compile_matcher = lru_cache(maxsize=256)(Matcher)
