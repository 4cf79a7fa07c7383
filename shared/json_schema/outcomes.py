"""What an evaluation works with and what it finds."""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from shared.json_schema.keywords import Draft, JsonObject
from shared.json_schema.matching import Matcher
from shared.json_schema.structure import SchemaStructure
from shared.json_schema.values import Node, describe

# Values that are compared in the time of one step.
VALUES_PER_STEP = 2
MAX_LISTED_VALUES = 5


class EvaluationLimitExceeded(Exception):
    """There is no verdict. message: why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Fault(Struct, frozen=True):
    """What is wrong, and with which value."""

    node: Node
    message: str


class Outcome(Struct, frozen=True):
    """fault: None if the value is valid; then names and items: which of its parts a schema was applied to."""

    fault: Fault | None = None
    names: frozenset[str] = frozenset()
    items: frozenset[int] = frozenset()


class EvaluationPlan(Struct, frozen=True):
    """What has to be done for one part of a schema.

    cost: steps, beside those of its parts. constants: what `const` and `enum` allow. shared: it may be applied to a value
    several times. reference: it is one and nothing else. The rest: whether it has such keywords.
    """

    cost: int
    shared: bool
    reference: bool
    asserts: bool
    unique: bool
    properties: bool
    items: bool
    in_place: bool
    unevaluated: bool
    constants: frozenset[object] | None
    pattern: str | None


class CompiledSchema(Struct, frozen=True):
    """A schema that is ready. plans: by the identity of its parts.

    annotates: which parts were applied matters. dynamic: how a part was reached matters.
    """

    root: JsonObject
    structure: SchemaStructure
    matchers: Mapping[str, Matcher]
    plans: Mapping[int, EvaluationPlan]
    annotates: bool
    dynamic: bool


VALID = Outcome()


def describe_allowed(schema: JsonObject, draft: Draft) -> str:
    """Returns what `const` or `enum` allow, for a sentence."""
    if "const" in schema and draft > 4:
        return describe(schema["const"])
    values = cast("list[object]", schema["enum"])
    others = ", …" if len(values) > MAX_LISTED_VALUES else ""
    return f"one of {', '.join(map(describe, values[:MAX_LISTED_VALUES]))}{others}"


def reject_property(node: Node, name: str) -> Outcome:
    """Returns that a property is not allowed."""
    return Outcome(Fault(node, f"{describe(name)} is not a property that is allowed"))


def drop_annotations(outcome: Outcome, node: Node | None = None) -> Outcome:
    """Returns the outcome of a part: which of the part's own parts were looked at is nothing to the whole."""
    if outcome.fault is None:
        return VALID
    return Outcome(Fault(node, outcome.fault.message)) if node else outcome
