"""Evaluates a document against a checked schema.

Invariants: the target of a reference is evaluated once for each value, and every step is counted: after MAX_STEPS there is
no verdict. So the time is bounded for every schema and every document, branching and recursive ones included. (The library
`jsonschema_rs` does neither: two references in each part of a chain double its time with each part.)
(https://json-schema.org/draft/2020-12/json-schema-core#section-10; `format` and `content…` are annotations)
"""

from collections.abc import Iterator, Mapping
from typing import cast

from shared.json_schema.assertions import check_value, describe_allowed
from shared.json_schema.document import (
    VALID,
    VALUES_PER_STEP,
    Document,
    EvaluationLimitExceeded,
    Fault,
    Node,
    Outcome,
)
from shared.json_schema.keywords import IN_PLACE_KEYWORDS, REFERENCE_KEYWORDS, Draft, JsonObject
from shared.json_schema.patterns.matching import UnmatchablePattern
from shared.json_schema.plans import UNEVALUATED_KEYWORDS, CompiledSchema, EvaluationPlan
from shared.json_schema.structure import Scope, Target
from shared.json_schema.values import count_values, describe, freeze
from shared.text.json_path import Step

PROPERTY_KEYWORDS = frozenset(("properties", "patternProperties", "additionalProperties", "propertyNames"))
ITEM_KEYWORDS = frozenset(("prefixItems", "items", "additionalItems", "contains"))
SAME_VALUE_KEYWORDS = IN_PLACE_KEYWORDS.union(REFERENCE_KEYWORDS)


def evaluate(compiled: CompiledSchema, value: object) -> Fault | None:
    """Returns the first fault of a document; None if it is valid. Raises EvaluationLimitExceeded."""
    document = Document(value)
    try:
        return _Evaluation(compiled, document).apply(compiled.root, document.root, ()).fault
    except RecursionError as error:
        raise EvaluationLimitExceeded("it is nested too deeply to be checked") from error


class _Evaluation:
    """The evaluation of one document. Mutable: the verdicts so far."""

    def __init__(self, compiled: CompiledSchema, document: Document) -> None:
        self._schema = compiled
        self._structure = compiled.structure
        self._draft: Draft = compiled.structure.draft
        self._document = document
        self._spend = document.spend
        self._verdicts: dict[tuple[int, int, Scope], Outcome | None] = {}

    def apply(self, schema: Target, node: Node, scope: Scope) -> Outcome:
        """Returns the outcome of a schema for a value."""
        if isinstance(schema, bool):
            self._spend(1)
            return VALID if schema else Outcome(Fault(node, f"{describe(node.value)} is not allowed here"))
        plan = self._schema.plans[id(schema)]
        self._spend(plan.cost)
        if self._schema.dynamic and (resource := self._structure.resources[id(schema)]) not in scope:
            scope = (*scope, resource)
        if not plan.shared:
            return self._evaluate(schema, plan, node, scope)
        place = id(schema), node.number, scope
        if place in self._verdicts:
            known = self._verdicts[place]
            return known if known is not None else Outcome(Fault(node, "its schema leads back to itself"))
        self._verdicts[place] = None
        outcome = self._verdicts[place] = self._evaluate(schema, plan, node, scope)
        return outcome

    def _apply_to_child(self, schema: Target, child: Node, scope: Scope) -> Outcome:
        """Returns the outcome without annotations: those of a child do not count for its parent."""
        outcome = self.apply(schema, child, scope)
        return outcome if outcome.fault else VALID

    def _evaluate(self, schema: JsonObject, plan: EvaluationPlan, node: Node, scope: Scope) -> Outcome:
        if self._draft <= 7 and (target := self._structure.targets.get((id(schema), "$ref"))) is not None:
            return self.apply(target, node, scope)
        if wrong := self._check_value(schema, plan.constants, node.value):
            return Outcome(Fault(node, wrong))
        applied: set[Step] = set()
        for outcome in self._list_outcomes(schema, node, scope, applied):
            if outcome.fault:
                return outcome
            if self._schema.annotates:
                self._spend(len(outcome.applied) // VALUES_PER_STEP)
                applied |= outcome.applied
        return Outcome(None, frozenset(applied)) if self._schema.annotates else VALID

    def _check_value(self, schema: JsonObject, constants: frozenset[object] | None, value: object) -> str | None:
        if constants is not None or schema.get("uniqueItems") is True:
            self._spend(count_values(value) // VALUES_PER_STEP)
        if wrong := check_value(schema, value, self._draft):
            return wrong
        if constants is not None and freeze(value) not in constants:
            return f"{describe(value)} is not {describe_allowed(schema, self._draft)}"
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and isinstance(value, str) and not self._matches(pattern, value):
            return f"{describe(value)} does not match {describe(pattern)}"
        return None

    def _matches(self, pattern: str, text: str) -> bool:
        matcher = self._schema.matchers[pattern]
        self._spend(matcher.cost(text))
        try:
            return matcher.matches(text)
        except UnmatchablePattern as error:
            raise EvaluationLimitExceeded(
                f"the pattern {describe(pattern)} takes too long on {describe(text)}"
            ) from error

    def _list_outcomes(self, schema: JsonObject, node: Node, scope: Scope, applied: set[Step]) -> Iterator[Outcome]:
        """Yields the outcomes of the schemas in a schema. Adds the children that they were applied to."""
        if isinstance(node.value, dict) and not PROPERTY_KEYWORDS.isdisjoint(schema):
            yield from self._apply_properties(schema, node, scope, applied)
        elif isinstance(node.value, list) and not ITEM_KEYWORDS.isdisjoint(schema):
            yield from self._apply_items(schema, node, scope, applied)
        if not SAME_VALUE_KEYWORDS.isdisjoint(schema):
            yield from self._apply_in_place(schema, node, scope)
        if self._schema.annotates and not UNEVALUATED_KEYWORDS.isdisjoint(schema):
            yield from self._apply_unevaluated(schema, node, scope, applied)

    def _apply_properties(self, schema: JsonObject, node: Node, scope: Scope, applied: set[Step]) -> Iterator[Outcome]:
        known = cast("Mapping[str, Target]", schema.get("properties", {}))
        patterns = cast("Mapping[str, Target]", schema.get("patternProperties", {}))
        others = cast("Target | None", schema.get("additionalProperties"))
        each_name = cast("Target | None", schema.get("propertyNames")) if self._draft > 4 else None
        for child in self._document.list_children(node):
            self._spend(1)
            name = cast("str", child.key)
            if each_name is not None and (
                wrong := self.apply(each_name, self._document.add_node(name, node), scope).fault
            ):
                yield Outcome(Fault(node, wrong.message))
            inners = [known[name]] if name in known else []
            inners += [each for pattern, each in patterns.items() if self._matches(pattern, name)]
            if not inners and others is not None:
                if others is False:
                    yield _reject_property(node, name)
                inners = [others]
            for inner in inners:
                applied.add(name)
                yield self._apply_to_child(inner, child, scope)

    def _apply_items(self, schema: JsonObject, node: Node, scope: Scope, applied: set[Step]) -> Iterator[Outcome]:
        leading = cast("list[Target]", schema.get("prefixItems", ()) if self._draft >= 2020 else ())
        rest = schema.get("items")
        if isinstance(rest, list):
            leading, rest = cast("list[Target]", rest), schema.get("additionalItems")
        contained = cast("Target | None", schema.get("contains")) if self._draft > 4 else None
        found = 0
        for at, child in enumerate(self._document.list_children(node)):
            self._spend(1)
            inner = leading[at] if at < len(leading) else cast("Target | None", rest)
            if inner is not None:
                applied.add(at)
                yield self._apply_to_child(inner, child, scope)
            if contained is not None and self.apply(contained, child, scope).fault is None:
                found += 1
                if self._draft >= 2020:
                    applied.add(at)
        if contained is not None:
            least = schema.get("minContains", 1) if self._draft >= 2019 else 1
            most = schema.get("maxContains") if self._draft >= 2019 else None
            if found < cast("int", least) or (most is not None and found > cast("int", most)):
                yield Outcome(Fault(node, f"{found} items of the list match `contains`"))

    def _apply_unevaluated(self, schema: JsonObject, node: Node, scope: Scope, applied: set[Step]) -> Iterator[Outcome]:
        keyword = "unevaluatedProperties" if isinstance(node.value, dict) else "unevaluatedItems"
        others = cast("Target | None", schema.get(keyword))
        if others is None or not isinstance(node.value, dict | list):
            return
        for child in self._document.list_children(node):
            if child.key not in applied:
                if others is False and isinstance(node.value, dict):
                    yield _reject_property(node, child.key)
                applied.add(child.key)
                yield self._apply_to_child(others, child, scope)

    def _apply_in_place(self, schema: JsonObject, node: Node, scope: Scope) -> Iterator[Outcome]:
        for keyword in REFERENCE_KEYWORDS:
            if (id(schema), keyword) in self._structure.targets:
                yield self.apply(self._structure.find_target(schema, keyword, scope), node, scope)
        for inner in cast("list[Target]", schema.get("allOf", ())):
            yield self.apply(inner, node, scope)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                yield from self._apply_alternatives(keyword, cast("list[Target]", schema[keyword]), node, scope)
        if "not" in schema and self.apply(cast("Target", schema["not"]), node, scope).fault is None:
            yield Outcome(Fault(node, f"{describe(node.value)} is excluded by `not`"))
        if "if" in schema and self._draft >= 7:
            yield from self._apply_conditional(schema, node, scope)
        if isinstance(node.value, dict):
            yield from self._apply_dependent(schema, node, scope)

    def _apply_alternatives(self, keyword: str, schemas: list[Target], node: Node, scope: Scope) -> Iterator[Outcome]:
        valid = 0
        faults: list[Fault] = []
        for inner in schemas:
            outcome = self.apply(inner, node, scope)
            if outcome.fault:
                faults.append(outcome.fault)
                continue
            valid += 1
            yield outcome
            if keyword == "anyOf" and not self._schema.annotates:
                return
        if not valid:
            deepest = max(faults, key=lambda fault: fault.node.depth)
            # The alternative with the deepest fault was most likely intended.
            none_valid = Fault(node, f"{describe(node.value)} is not valid under any of the schemas of `{keyword}`")
            yield Outcome(deepest if deepest.node.depth > node.depth or len(faults) == 1 else none_valid)
        elif valid > 1 and keyword == "oneOf":
            yield Outcome(Fault(node, f"{describe(node.value)} is valid under {valid} of the schemas of `oneOf`"))

    def _apply_conditional(self, schema: JsonObject, node: Node, scope: Scope) -> Iterator[Outcome]:
        condition = self.apply(cast("Target", schema["if"]), node, scope)
        branch = "else" if condition.fault else "then"
        if condition.fault is None:
            yield condition
        if branch in schema:
            yield self.apply(cast("Target", schema[branch]), node, scope)

    def _apply_dependent(self, schema: JsonObject, node: Node, scope: Scope) -> Iterator[Outcome]:
        for keyword in ("dependencies", "dependentSchemas") if self._draft >= 2019 else ("dependencies",):
            for name, inner in cast("Mapping[str, object]", schema.get(keyword, {})).items():
                self._spend(1)
                if not isinstance(inner, list) and name in cast("JsonObject", node.value):
                    yield self.apply(cast("Target", inner), node, scope)


def _reject_property(node: Node, name: Step) -> Outcome:
    return Outcome(Fault(node, f"{describe(name)} is not a property that is allowed"))
