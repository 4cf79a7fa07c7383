"""The result of an evaluation."""

from typing import cast

from msgspec import Struct

from shared.json_schema.document import Node
from shared.json_schema.keywords import Draft, JsonObject
from shared.json_schema.values import describe
from shared.text.json_path import Step

MAX_LISTED_VALUES = 5


class Fault(Struct, frozen=True):
    """A fault of a document. node: the value with the fault."""

    node: Node
    message: str


class Outcome(Struct, frozen=True):
    """The result for a value.

    fault: None if the value is valid. applied: the names or indexes of its children that a schema was applied to.
    """

    fault: Fault | None = None
    applied: frozenset[Step] = frozenset()


VALID = Outcome()


def describe_allowed(schema: JsonObject, draft: Draft) -> str:
    """Returns the values that `const` or `enum` allow, for a sentence."""
    if "const" in schema and draft > 4:
        return describe(schema["const"])
    values = cast("list[object]", schema["enum"])
    others = ", …" if len(values) > MAX_LISTED_VALUES else ""
    return f"one of {', '.join(map(describe, values[:MAX_LISTED_VALUES]))}{others}"


def reject_property(node: Node, name: Step) -> Outcome:
    """Returns the outcome for a property that is not allowed."""
    return Outcome(Fault(node, f"{describe(name)} is not a property that is allowed"))
