"""Checks a schema before its use: its keywords, its references, its patterns.

Invariants: each part is visited once, however many references lead to it; a SchemaBudget bounds the work. A schema that
passed the check never fails later. (The library `jsonschema_rs` checks the keywords. Its check of references and patterns is not used:
it fetches documents, and its time doubles with each branching reference.)
"""

from graphlib import CycleError, TopologicalSorter
from typing import cast

import jsonschema_rs
from msgspec import Struct

from shared.json_schema.faults import SchemaFault, shorten
from shared.json_schema.keywords import (
    IN_PLACE_KEYWORDS,
    META_SCHEMA_URIS,
    Draft,
    JsonObject,
    find_draft,
    list_references,
    list_subschemas,
)
from shared.json_schema.limits import SchemaBudget
from shared.json_schema.patterns.atoms import PatternFault
from shared.json_schema.patterns.parser import Pattern, parse_pattern
from shared.json_schema.references import References, Resolver, SchemaPath, Target

# A longer chain would not fit into one evaluation.
MAX_REFERENCE_CHAIN = 100

# The documents that the references led through, the outermost first.
type Scope = tuple[int, ...]


class SchemaStructure(Struct, frozen=True):
    """The structure of a checked schema. The keys are the identities (`id`) of its parts.

    parts: all parts. targets: the targets of references, by the identity of the part and the keyword. resources: the document
    (a schema with its own address) that a part belongs to. dynamic: the dynamic anchors of each document. patterns: by their
    text, each with a place where it occurs.
    """

    draft: Draft
    parts: dict[int, JsonObject]
    targets: dict[tuple[int, str], Target]
    resources: dict[int, int]
    dynamic: dict[int, dict[str, JsonObject]]
    patterns: dict[str, tuple[Pattern, SchemaPath]]

    def find_target(self, schema: JsonObject, keyword: str, scope: Scope) -> Target:
        """Returns the target of a reference. A dynamic one leads to the outermost document with the same anchor."""
        target = self.targets[id(schema), keyword]
        if keyword == "$ref" or isinstance(target, bool):
            return target
        if keyword == "$dynamicRef":
            name = cast("str", schema[keyword]).partition("#")[2]
            overridable = target.get("$dynamicAnchor") == name
        else:
            name = ""
            overridable = target.get("$recursiveAnchor") is True
        if overridable:
            for resource in scope:
                if name in self.dynamic[resource]:
                    return self.dynamic[resource][name]
        return target


def inspect_schema(schema: object, budget: SchemaBudget) -> SchemaStructure:
    """Checks a schema; returns its structure. Raises SchemaFault."""
    if not isinstance(schema, dict):
        raise SchemaFault((), "must be a JSON Schema, which is an object")
    root = cast("JsonObject", schema)
    if not isinstance(root.get("$schema", ""), str):
        raise SchemaFault(("$schema",), "must be a string")
    budget.charge_schema(root)
    draft = find_draft(root)
    _check_keywords(root, draft, ())
    inspection = _Inspection(root, draft, budget)
    inspection.walk()
    inspection.check_chains()
    return inspection.structure


def _check_keywords(schema: JsonObject, draft: Draft, path: SchemaPath) -> None:
    try:
        # The library would look up an unknown dialect on the network.
        jsonschema_rs.meta.validate({**schema, "$schema": META_SCHEMA_URIS[draft]})
    except jsonschema_rs.ValidationError as error:
        message = f"is not valid JSON Schema: {shorten(error.message)}"
        raise SchemaFault((*path, *error.instance_path), message) from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaFault(path, f"is not valid JSON Schema: {shorten(str(error))}") from error


class _Inspection:
    """The inspection of one schema. Mutable: its results."""

    def __init__(self, root: JsonObject, draft: Draft, budget: SchemaBudget) -> None:
        self._root = root
        self._budget = budget
        self._references = References(root, draft)
        self._paths: dict[int, SchemaPath] = {}
        self._same_value: dict[int, list[int]] = {}
        self._resolved: dict[tuple[int, str], tuple[Target, Resolver]] = {}
        self._resolvers: list[Resolver] = []
        self.structure = SchemaStructure(draft, {}, {}, {}, {}, {})

    def walk(self) -> None:
        """Visits every part, and the targets of references. Raises SchemaFault."""
        waiting: list[tuple[object, SchemaPath, Resolver, int, bool]] = [
            (self._root, (), self._references.root, id(self._root), True)
        ]
        targets: list[tuple[SchemaPath, JsonObject, Resolver]] = []
        while waiting or targets:
            if not waiting:
                # A target outside of the keywords for schemas has not been checked as a schema yet.
                path, target, resolver = targets.pop()
                if id(target) not in self._paths:
                    self._budget.charge_schema(target)
                    _check_keywords(target, self.structure.draft, path)
                    waiting.append((target, path, resolver, id(self._root), True))
                continue
            part, path, resolver, resource, entered = waiting.pop()
            schema = cast("JsonObject", part)
            if not isinstance(part, dict) or id(schema) in self._paths:
                continue
            self._paths[id(schema)] = path
            if not entered and self._references.starts_resource(schema):
                resolver, resource = self._references.enter(schema, resolver, path), id(schema)
            self._record(schema, path, resource)
            for keyword, reference in list_references(schema, self.structure.draft):
                target, there = self._follow(keyword, reference, path, resolver)
                self.structure.targets[id(schema), keyword] = target
                if not isinstance(target, bool):
                    self._same_value[id(schema)].append(id(target))
                    targets.append(((*path, keyword), target, there))
            waiting += [
                (inner, (*path, *steps), resolver, resource, False)
                for _, steps, inner in list_subschemas(schema, self.structure.draft)
            ]

    def _record(self, schema: JsonObject, path: SchemaPath, resource: int) -> None:
        structure = self.structure
        structure.parts[id(schema)] = schema
        structure.resources[id(schema)] = resource
        anchors = structure.dynamic.setdefault(resource, {})
        if structure.draft >= 2020 and isinstance(name := schema.get("$dynamicAnchor"), str):
            anchors.setdefault(name, schema)
        if structure.draft == 2019 and schema.get("$recursiveAnchor") is True:
            anchors.setdefault("", schema)
        named = cast("JsonObject", schema.get("patternProperties", {}))
        for at, pattern in (
            (("pattern",), schema.get("pattern")),
            *((("patternProperties", one), one) for one in named),
        ):
            if isinstance(pattern, str):
                self._read_pattern(pattern, (*path, *at))
        self._same_value[id(schema)] = [
            id(inner)
            for keyword, _, inner in list_subschemas(schema, structure.draft)
            if keyword in IN_PLACE_KEYWORDS and not isinstance(inner, bool)
        ]

    def _read_pattern(self, pattern: str, path: SchemaPath) -> None:
        if pattern in self.structure.patterns:
            return
        self._budget.charge_pattern(pattern, path)
        try:
            self.structure.patterns[pattern] = parse_pattern(pattern), path
        except PatternFault as error:
            message = f"is not a regular expression of ECMA-262 with the flag u: {error}"
            raise SchemaFault(path, message) from error

    def _follow(self, keyword: str, reference: str, path: SchemaPath, resolver: Resolver) -> tuple[Target, Resolver]:
        key = id(resolver), reference
        if key not in self._resolved:
            self._budget.charge_reference((*path, keyword))
            self._resolvers.append(resolver)
            self._resolved[key] = self._references.follow(reference, resolver, (*path, keyword))
        return self._resolved[key]

    def check_chains(self) -> None:
        """Checks that chains of parts for the same value are short and have no loop. Raises SchemaFault."""
        lengths: dict[int, int] = {}
        try:
            for part in TopologicalSorter(self._same_value).static_order():
                lengths[part] = 1 + max((lengths[inner] for inner in self._same_value[part]), default=0)
                if lengths[part] > MAX_REFERENCE_CHAIN:
                    message = (
                        f"leads through more than {MAX_REFERENCE_CHAIN} schemas for the same value; shorten the chain"
                    )
                    raise SchemaFault(self._paths[part], message)
        except CycleError as error:
            _, (part, *_) = error.args
            message = "leads back to itself for the same value; only a part of the value can have the same schema"
            raise SchemaFault(self._paths[part], message) from error
