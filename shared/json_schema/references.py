"""Resolves references within a schema by the rules of its draft; never fetches another document.

(https://json-schema.org/draft/2020-12/json-schema-core#section-8.2, by the library `referencing`)
"""

import re
from typing import Any, cast
from urllib.parse import unquote

from referencing import Registry, Resource
from referencing.exceptions import InvalidAnchor, NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import specification_with

from shared.json_schema.faults import SchemaFault, shorten
from shared.json_schema.keywords import META_SCHEMA_URIS, Draft, JsonObject
from shared.text.json_path import Step

type Resolver = Any
type SchemaPath = tuple[Step, ...]
type Target = JsonObject | bool

_INDEX = re.compile("0|[1-9][0-9]{0,8}")
OTHER_DOCUMENT = "is another document; other documents are never fetched: copy its target into this schema's `$defs`"


class References:
    """The references of one document."""

    def __init__(self, schema: JsonObject, draft: Draft) -> None:
        self._specification = specification_with(META_SCHEMA_URIS[draft])
        registry: Registry[Any] = Registry()
        self.root: Resolver = registry.resolver_with_root(self._specification.create_resource(schema))

    def enter(self, schema: JsonObject, resolver: Resolver, path: SchemaPath) -> Resolver:
        """Returns the resolver for a schema inside of another. Raises SchemaFault for an invalid `$id`."""
        resource: Resource[Any] = self._specification.create_resource(schema)
        try:
            return resolver.in_subresource(resource)
        except ValueError as error:
            raise SchemaFault((*path, "$id"), "is not a valid address") from error

    def starts_resource(self, schema: JsonObject) -> bool:
        """Returns whether a schema has its own address."""
        return ("$id" in schema or "id" in schema) and self._specification.create_resource(schema).id() is not None

    def follow(self, reference: str, resolver: Resolver, path: SchemaPath) -> tuple[Target, Resolver]:
        """Returns the target of a reference, and the resolver there. path: of the reference. Raises SchemaFault."""
        address, _, fragment = reference.partition("#")
        why = "leads nowhere"
        cause: Exception | None = None
        try:
            if fragment.startswith("/"):
                _check_indexes(resolver.lookup(address).contents, fragment)
            found = resolver.lookup(reference)
            if isinstance(found.contents, dict | bool):
                return cast("Target", found.contents), found.resolver
            why = "leads nowhere: its target is not a schema"
        except (PointerToNowhere, NoSuchAnchor, InvalidAnchor, ValueError, TypeError, AttributeError) as error:
            # The last three: invalid addresses and numbers, and invalid `$id`s in parts that were not checked.
            cause = error
        except Unresolvable as error:
            cause = error
            why = OTHER_DOCUMENT if address else why
        raise SchemaFault(path, f"is `{shorten(reference)}`, which {why}") from cause


def _check_indexes(contents: object, pointer: str) -> None:
    """Checks that the indexes of lists are plain numbers, which `referencing` does not. Raises ValueError."""
    for step in unquote(pointer[1:]).split("/"):
        if isinstance(contents, dict):
            contents = cast("JsonObject", contents).get(step.replace("~1", "/").replace("~0", "~"))
        elif isinstance(contents, list) and _INDEX.fullmatch(step):
            items = cast("list[object]", contents)
            contents = items[int(step)] if int(step) < len(items) else None
        else:
            raise ValueError(step)
