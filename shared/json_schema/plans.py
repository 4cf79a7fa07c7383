"""A checked schema made ready for documents. Pure but for the patterns, which are compiled."""

from typing import cast

from shared.json_schema.faults import SchemaFault
from shared.json_schema.keywords import IN_PLACE, REFERENCES, Draft, Fields
from shared.json_schema.matching import Matcher, Unmatchable, compile_matcher
from shared.json_schema.outcomes import VALUES_A_STEP, Compiled, Plan
from shared.json_schema.structure import Structure
from shared.json_schema.values import count_values, freeze

# The size of all patterns of a schema with their repetitions written out.
MOST_PATTERN_WEIGHT = 100_000
ASSERTIONS = frozenset(
    (
        *("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"),
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        *("required", "dependencies", "dependentRequired"),
    )
)
PROPERTIES = frozenset(("properties", "patternProperties", "additionalProperties", "propertyNames"))
ITEMS = frozenset(("prefixItems", "items", "additionalItems", "contains"))
REFERRING = frozenset(REFERENCES)
LEFT_OVER = frozenset(("unevaluatedProperties", "unevaluatedItems"))
LISTED = ("required", "dependencies", "dependentRequired", "dependentSchemas")


def compile_schema(root: Fields, structure: Structure) -> Compiled:
    """Returns the schema, ready. Raises SchemaFault for a pattern that can't be matched here."""
    draft = structure.draft
    targets = {id(target) for target in structure.targets.values()}
    # A dynamic reference may lead to any of these.
    targets |= {id(part) for anchors in structure.dynamic.values() for part in anchors.values()}
    return Compiled(
        root=root,
        structure=structure,
        matchers=build_matchers(structure),
        plans={number: build_plan(part, draft, shared=number in targets) for number, part in structure.parts.items()},
        annotates=draft >= 2019 and any(LEFT_OVER & part.keys() for part in structure.parts.values()),
        dynamic=any(keyword != "$ref" for _, keyword in structure.targets),
    )


def build_plan(part: Fields, draft: Draft, *, shared: bool) -> Plan:
    """Returns what has to be done for a part of a schema."""
    listed = sum(count_values(part[keyword]) for keyword in LISTED if keyword in part)
    return Plan(
        cost=1 + (len(part) + listed) // VALUES_A_STEP,
        shared=shared,
        reference=draft <= 7 and isinstance(part.get("$ref"), str),
        asserts=_has(part, ASSERTIONS),
        unique=part.get("uniqueItems") is True,
        properties=_has(part, PROPERTIES),
        items=_has(part, ITEMS),
        in_place=_has(part, IN_PLACE) or _has(part, REFERRING),
        left_over=draft >= 2019 and _has(part, LEFT_OVER),
        constants=find_constants(part, draft),
        pattern=pattern if isinstance(pattern := part.get("pattern"), str) else None,
    )


def _has(part: Fields, keywords: frozenset[str]) -> bool:
    return not keywords.isdisjoint(part)


def find_constants(part: Fields, draft: Draft) -> frozenset[object] | None:
    """Returns what `enum` and `const` allow; None where there is neither."""
    allowed: list[frozenset[object]] = []
    if isinstance(values := part.get("enum"), list):
        allowed.append(frozenset(map(freeze, cast("list[object]", values))))
    if "const" in part and draft > 4:
        allowed.append(frozenset({freeze(part["const"])}))
    return allowed[0].intersection(*allowed) if allowed else None


def build_matchers(structure: Structure) -> dict[str, Matcher]:
    """Returns what matches each pattern of a schema. Raises SchemaFault for one that can't be matched here."""
    weight = 0
    matchers: dict[str, Matcher] = {}
    for text, (pattern, path) in structure.patterns.items():
        weight += pattern.weight
        if pattern.unmatchable:
            raise SchemaFault(path, f"can't be checked here: it has {pattern.unmatchable}; write the pattern without")
        if weight > MOST_PATTERN_WEIGHT:
            raise SchemaFault(
                path, "is too large with its repetitions written out; repeat less often, or use `maxLength`"
            )
        try:
            matchers[text] = compile_matcher(pattern)
        except Unmatchable as error:
            raise SchemaFault(path, "can't be checked here; write a simpler pattern") from error
    return matchers
