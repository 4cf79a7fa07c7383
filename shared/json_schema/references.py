"""Resolves references within a schema by the rules of its draft; never fetches another document.

(https://json-schema.org/draft/2020-12/json-schema-core#section-8.2, by the library `referencing`)
"""

import re
from typing import Any, cast
from urllib.parse import unquote

from referencing import Registry, Resource, Specification
from referencing.exceptions import InvalidAnchor, NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from shared.json_schema.keywords import Draft, JsonObject

type Resolver = Any

SPECIFICATIONS: dict[Draft, Specification[Any]] = {
    4: DRAFT4,
    6: DRAFT6,
    7: DRAFT7,
    2019: DRAFT201909,
    2020: DRAFT202012,
}
_INDEX = re.compile("0|[1-9][0-9]{0,8}")
LEADS_NOWHERE = "leads nowhere"


class UnresolvedReference(Exception):
    """A reference that can't be followed; the message has the reason, as the rest of a sentence."""


class References:
    """The references of one document."""

    def __init__(self, schema: JsonObject, draft: Draft) -> None:
        self._specification = SPECIFICATIONS[draft]
        registry: Registry[Any] = Registry()
        self.root: Resolver = registry.resolver_with_root(self._specification.create_resource(schema))

    def enter(self, schema: JsonObject, resolver: Resolver) -> Resolver:
        """Returns the resolver for a schema inside of another. Raises UnresolvedReference for an invalid `$id`."""
        resource: Resource[Any] = self._specification.create_resource(schema)
        try:
            return resolver.in_subresource(resource)
        except ValueError as error:
            raise UnresolvedReference("is not a valid address") from error

    def starts_resource(self, schema: JsonObject) -> bool:
        """Returns whether a schema has its own address."""
        return ("$id" in schema or "id" in schema) and self._specification.create_resource(schema).id() is not None

    def follow(self, reference: str, resolver: Resolver) -> tuple[object, Resolver]:
        """Returns the target of a reference, and the resolver there. Raises UnresolvedReference."""
        address, _, fragment = reference.partition("#")
        try:
            if fragment.startswith("/"):
                _check_indexes(resolver.lookup(address).contents, fragment)
            found = resolver.lookup(reference)
        except (PointerToNowhere, NoSuchAnchor, InvalidAnchor) as error:
            raise UnresolvedReference(LEADS_NOWHERE) from error
        except Unresolvable as error:
            raise UnresolvedReference(
                "is another document; other documents are never fetched: copy its target into this schema's `$defs`"
                if address
                else LEADS_NOWHERE
            ) from error
        except (ValueError, TypeError, AttributeError) as error:
            # Invalid addresses and numbers, and invalid `$id`s in parts that were not checked.
            raise UnresolvedReference(LEADS_NOWHERE) from error
        if not isinstance(found.contents, dict | bool):
            raise UnresolvedReference(f"{LEADS_NOWHERE}: its target is not a schema")
        return cast("object", found.contents), found.resolver


def _check_indexes(contents: object, pointer: str) -> None:
    """Checks that the indexes of lists are plain numbers, which `referencing` does not. Raises UnresolvedReference."""
    for step in unquote(pointer[1:]).split("/"):
        if isinstance(contents, dict):
            contents = cast("JsonObject", contents).get(step.replace("~1", "/").replace("~0", "~"))
        elif isinstance(contents, list) and _INDEX.fullmatch(step):
            items = cast("list[object]", contents)
            contents = items[int(step)] if int(step) < len(items) else None
        else:
            raise UnresolvedReference(LEADS_NOWHERE)
