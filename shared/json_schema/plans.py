"""Compiles a checked schema for evaluation. Pure, except that it compiles patterns."""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from shared.json_schema.document import VALUES_PER_STEP
from shared.json_schema.faults import SchemaFault
from shared.json_schema.keywords import Draft, JsonObject
from shared.json_schema.patterns.matching import Matcher, UnmatchablePattern, compile_matcher
from shared.json_schema.structure import SchemaStructure
from shared.json_schema.values import count_values, freeze

# The size of all patterns of a schema with their repetitions written out.
MAX_PATTERN_WEIGHT = 100_000
UNEVALUATED_KEYWORDS = frozenset(("unevaluatedProperties", "unevaluatedItems"))
SIZED_KEYWORDS = ("required", "dependencies", "dependentRequired", "dependentSchemas")


class EvaluationPlan(Struct, frozen=True):
    """What is known of one part of a schema before its use.

    cost: its steps, without those of its parts. constants: the values that `const` and `enum` allow. shared: several parts
    may apply it to the same value.
    """

    cost: int
    constants: frozenset[object] | None
    shared: bool


class CompiledSchema(Struct, frozen=True):
    """A compiled schema. plans: by the identity of its parts.

    annotates: a verdict may depend on the parts that were applied. dynamic: a verdict may depend on the references that led
    to a part.
    """

    root: JsonObject
    structure: SchemaStructure
    matchers: Mapping[str, Matcher]
    plans: Mapping[int, EvaluationPlan]
    annotates: bool
    dynamic: bool


def compile_schema(root: JsonObject, structure: SchemaStructure) -> CompiledSchema:
    """Returns the compiled schema. Raises SchemaFault for a pattern that can't be matched here."""
    draft = structure.draft
    targets = {id(target) for target in structure.targets.values()}
    # A dynamic reference may lead to any of these.
    targets |= {id(part) for anchors in structure.dynamic.values() for part in anchors.values()}
    return CompiledSchema(
        root=root,
        structure=structure,
        matchers=build_matchers(structure),
        plans={
            number: EvaluationPlan(compute_cost(part), find_constants(part, draft), shared=number in targets)
            for number, part in structure.parts.items()
        },
        annotates=draft >= 2019 and any(UNEVALUATED_KEYWORDS & part.keys() for part in structure.parts.values()),
        dynamic=any(keyword != "$ref" for _, keyword in structure.targets),
    )


def compute_cost(part: JsonObject) -> int:
    """Returns the steps of a part of a schema."""
    listed = sum(count_values(part[keyword]) for keyword in SIZED_KEYWORDS if keyword in part)
    return 1 + (len(part) + listed) // VALUES_PER_STEP


def find_constants(part: JsonObject, draft: Draft) -> frozenset[object] | None:
    """Returns the values that `enum` and `const` allow; None without these keywords."""
    allowed: list[frozenset[object]] = []
    if isinstance(values := part.get("enum"), list):
        allowed.append(frozenset(map(freeze, cast("list[object]", values))))
    if "const" in part and draft > 4:
        allowed.append(frozenset({freeze(part["const"])}))
    return allowed[0].intersection(*allowed) if allowed else None


def build_matchers(structure: SchemaStructure) -> dict[str, Matcher]:
    """Returns the matcher of each pattern of a schema. Raises SchemaFault for one that can't be matched here."""
    weight = 0
    matchers: dict[str, Matcher] = {}
    for text, (pattern, path) in structure.patterns.items():
        weight += pattern.weight
        if pattern.unmatchable:
            raise SchemaFault(path, f"can't be checked here: it has {pattern.unmatchable}; write a pattern without it")
        if weight > MAX_PATTERN_WEIGHT:
            raise SchemaFault(
                path, "is too large with its repetitions written out; lower the counts, or use `maxLength`"
            )
        try:
            matchers[text] = compile_matcher(pattern)
        except UnmatchablePattern as error:
            raise SchemaFault(path, "can't be checked here; write a simpler pattern") from error
    return matchers
