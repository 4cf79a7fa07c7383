"""The input and the results of an evaluation."""

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
    """A fault of a document. node: the value with the fault."""

    node: Node
    message: str


class Outcome(Struct, frozen=True):
    """The result for a value. fault: None if it is valid. names, items: the parts of it that a schema was applied to."""

    fault: Fault | None = None
    names: frozenset[str] = frozenset()
    items: frozenset[int] = frozenset()


class EvaluationPlan(Struct, frozen=True):
    """What to check for one part of a schema.

    cost: steps, beside those of its parts. constants: what `const` and `enum` allow. shared: it may be applied to a value
    several times. reference: the part is only a reference. The rest: whether it has such keywords.
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
    """A compiled schema. plans: by the identity of its parts.

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
    """Returns the outcome for a property that is not allowed."""
    return Outcome(Fault(node, f"{describe(name)} is not a property that is allowed"))


def drop_annotations(outcome: Outcome, node: Node | None = None) -> Outcome:
    """Returns the outcome without annotations: those of a part do not count for the value around it."""
    if outcome.fault is None:
        return VALID
    return Outcome(Fault(node, outcome.fault.message)) if node else outcome
