"""The keywords of JSON Schema, by the kind of their values: a schema, several schemas, or data. Pure.

Invariants: data is never read as a schema: the value of `const`, `enum`, `default`, `examples` or an unknown keyword, or a
property with the name `$ref`.
(https://json-schema.org/draft/2020-12/json-schema-core; older drafts: https://json-schema.org/specification-links)
"""

import re
from collections.abc import Iterator
from typing import Literal, cast

from shared.text.json_path import Step

type Draft = Literal[4, 6, 7, 2019, 2020]
type JsonObject = dict[str, object]

LATEST_DRAFT: Draft = 2020
META_SCHEMA_URIS: dict[Draft, str] = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
_DIALECT = re.compile(r"https?://json-schema\.org/(?:draft-0(4|6|7)|draft/(2019|2020)-[0-9]{2})/schema#?")

# The first and the last draft that know each keyword. In other drafts its value is data.
SCHEMA_KEYWORDS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("not", "additionalProperties", "items", "allOf", "anyOf", "oneOf"), (4, 2020)),
    **dict.fromkeys(("contains", "propertyNames"), (6, 2020)),
    **dict.fromkeys(("if", "then", "else"), (7, 2020)),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "contentSchema"), (2019, 2020)),
    "additionalItems": (4, 2019),
    "prefixItems": (2020, 2020),
}
SCHEMA_MAP_KEYWORDS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("properties", "patternProperties", "definitions", "dependencies"), (4, 2020)),
    **dict.fromkeys(("$defs", "dependentSchemas"), (2019, 2020)),
}
# Keywords whose schemas apply to the same value as the schema around them.
IN_PLACE_KEYWORDS = frozenset(
    ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
)
REFERENCE_KEYWORDS = {"$ref": (4, 2020), "$dynamicRef": (2020, 2020), "$recursiveRef": (2019, 2019)}


def find_draft(schema: JsonObject) -> Draft:
    """Returns the draft in `$schema`; the newest one if it is unknown."""
    found = _DIALECT.fullmatch(dialect) if isinstance(dialect := schema.get("$schema"), str) else None
    return cast("Draft", int(found[1] or found[2])) if found else LATEST_DRAFT


def list_subschemas(schema: JsonObject, draft: Draft) -> Iterator[tuple[str, tuple[Step, ...], object]]:
    """Yields each schema directly in a schema, with its keyword and the path to it."""
    for keyword, value in schema.items():
        if _is_known(SCHEMA_KEYWORDS, keyword, draft):
            if isinstance(value, list):
                yield from ((keyword, (keyword, at), item) for at, item in enumerate(cast("list[object]", value)))
            else:
                yield keyword, (keyword,), value
        elif _is_known(SCHEMA_MAP_KEYWORDS, keyword, draft):
            for name, inner in cast("JsonObject", value).items():
                # A dependency may also be a list of property names.
                if not isinstance(inner, list):
                    yield keyword, (keyword, name), inner


def _is_known(table: dict[str, tuple[int, int]], keyword: str, draft: Draft) -> bool:
    return keyword in table and table[keyword][0] <= draft <= table[keyword][1]


def list_references(schema: JsonObject, draft: Draft) -> Iterator[tuple[str, str]]:
    """Yields the references of a schema, with their keywords."""
    for keyword in REFERENCE_KEYWORDS:
        if _is_known(REFERENCE_KEYWORDS, keyword, draft) and isinstance(reference := schema.get(keyword), str):
            yield keyword, reference
