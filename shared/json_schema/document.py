"""The values of a document under evaluation, the steps that its evaluation may take, and the result for a value."""

from collections.abc import Iterable, Mapping
from typing import cast

from msgspec import Struct

from shared.text.json_path import Step

MAX_STEPS = 150_000
# Values that are compared in the time of one step.
VALUES_PER_STEP = 2


class EvaluationLimitExceeded(Exception):
    """There is no verdict; the message has the reason."""


class Node:
    """A value in a document, identified by its number. Its children are created once."""

    __slots__ = ("children", "depth", "key", "number", "parent", "value")

    def __init__(self, value: object, number: int, parent: "Node | None", key: Step) -> None:
        self.value = value
        self.number = number
        self.parent = parent
        self.key = key
        self.depth: int = parent.depth + 1 if parent else 0
        self.children: list[Node] | None = None

    def list_steps(self) -> list[Step]:
        """Returns the path to the value."""
        steps: list[Step] = []
        node = self
        while node.parent is not None:
            steps.append(node.key)
            node = node.parent
        return steps[::-1]


class Document:
    """A document under evaluation. Mutable: the number of nodes, and the steps left."""

    def __init__(self, value: object) -> None:
        self._steps = MAX_STEPS
        self._nodes = 0
        self.root = self.add_node(value)

    def add_node(self, value: object, parent: Node | None = None, key: Step = "") -> Node:
        """Returns a new node for a value."""
        self._nodes += 1
        return Node(value, self._nodes, parent, key)

    def list_children(self, node: Node) -> list[Node]:
        """Returns the properties of an object or the items of a list; their keys are names or indexes."""
        if node.children is None:
            value = cast("Mapping[str, object] | list[object]", node.value)
            self.spend(len(value) // VALUES_PER_STEP)
            entries: Iterable[tuple[Step, object]] = value.items() if isinstance(value, Mapping) else enumerate(value)
            node.children = [self.add_node(inner, node, key) for key, inner in entries]
        return node.children

    def spend(self, steps: int) -> None:
        """Counts steps. Raises EvaluationLimitExceeded when none are left."""
        self._steps -= steps
        if self._steps < 0:
            raise EvaluationLimitExceeded(f"checking it against its schema takes more than {MAX_STEPS:,} steps")


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
