"""The keywords of JSON Schema that check a value alone, without schemas for its parts. Pure.

Each function returns the fault of the value, as a sentence, or None.
(https://json-schema.org/draft/2020-12/json-schema-validation)
"""

import operator
from collections.abc import Callable, Collection, Mapping
from typing import cast

from shared.json_schema.keywords import Draft, JsonObject
from shared.json_schema.values import Number, describe, freeze, is_integer, is_multiple, is_number

PYTHON_TYPES: dict[str, type] = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}
# The limits of a number: the keyword, when a number is beyond it, and how the sentence goes on.
NUMBER_LIMITS: tuple[tuple[str, Callable[[Number, Number], bool], str], ...] = (
    ("minimum", operator.lt, "is less than the minimum of"),
    ("maximum", operator.gt, "is greater than the maximum of"),
    ("exclusiveMinimum", operator.le, "is not greater than"),
    ("exclusiveMaximum", operator.ge, "is not less than"),
)
# In draft 4 these are booleans that make the others exclusive.
DRAFT_4_LIMITS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
MAX_LISTED_VALUES = 5


def check_value(schema: JsonObject, value: object, draft: Draft) -> str | None:
    """Checks all of these keywords except `pattern`, `enum` and `const`."""
    if wrong := check_type(schema, value):
        return wrong
    match value:
        case str():
            return check_size(schema, len(value), "Length", "characters", describe(value))
        case list():
            return check_list(schema, cast("list[object]", value))
        case dict():
            return check_object(schema, cast("JsonObject", value), draft)
        case _ if is_number(value):
            return check_number(schema, cast("Number", value), draft)
        case _:
            return None


def check_type(schema: JsonObject, value: object) -> str | None:
    """Checks `type`."""
    allowed = schema.get("type")
    if allowed is None:
        return None
    kinds = cast("list[str]", allowed if isinstance(allowed, list) else [allowed])
    if any(_is_kind(value, kind) for kind in kinds):
        return None
    return f"{describe(value)} is not of type {', '.join(f"'{kind}'" for kind in kinds)}"


def _is_kind(value: object, kind: str) -> bool:
    if kind == "number":
        return is_number(value)
    return is_integer(value) if kind == "integer" else isinstance(value, PYTHON_TYPES[kind])


def check_number(schema: JsonObject, value: Number, draft: Draft) -> str | None:
    """Checks the limits of a number, and `multipleOf`."""
    for keyword, is_beyond, words in NUMBER_LIMITS:
        limit = cast("Number | None", schema.get(keyword))
        if draft == 4 and keyword in DRAFT_4_LIMITS:
            limit = cast("Number | None", schema.get(DRAFT_4_LIMITS[keyword])) if limit is True else None
        if limit is not None and is_beyond(value, limit):
            return f"{describe(value)} {words} {describe(limit)}"
    divisor = cast("Number | None", schema.get("multipleOf"))
    if divisor is not None and not is_multiple(value, divisor):
        return f"{describe(value)} is not a multiple of {describe(divisor)}"
    return None


def check_size(schema: JsonObject, size: int, keyword_suffix: str, unit: str, what: str) -> str | None:
    """Checks `minLength`, `maxItems` and similar keywords. keyword_suffix: their common end. unit: the name of what is counted."""
    limits = cast("Mapping[str, Number]", schema)
    least, most = limits.get(f"min{keyword_suffix}"), limits.get(f"max{keyword_suffix}")
    if least is not None and size < least:
        return f"{what} has {size} {unit}, fewer than {describe(least)}"
    if most is not None and size > most:
        return f"{what} has {size} {unit}, more than {describe(most)}"
    return None


def check_list(schema: JsonObject, items: list[object]) -> str | None:
    """Checks the length of a list, and `uniqueItems`."""
    if wrong := check_size(schema, len(items), "Items", "items", "the list"):
        return wrong
    if schema.get("uniqueItems") is True:
        seen: set[object] = set()
        for item in map(freeze, items):
            if item in seen:
                return "the list has equal items"
            seen.add(item)
    return None


def check_object(schema: JsonObject, fields: JsonObject, draft: Draft) -> str | None:
    """Checks the names and the number of an object's properties."""
    if wrong := check_size(schema, len(fields), "Properties", "properties", "the object"):
        return wrong
    for name in cast("Collection[str]", schema.get("required", ())):
        if name not in fields:
            return f"{describe(name)} is a required property"
    needed = cast("Mapping[str, object]", schema.get("dependencies", {}))
    if draft >= 2019:
        needed = {**needed, **cast("Mapping[str, object]", schema.get("dependentRequired", {}))}
    for name, others in needed.items():
        if name in fields and isinstance(others, list):
            for other in cast("list[str]", others):
                if other not in fields:
                    return f"{describe(other)} is a required property because {describe(name)} is present"
    return None


def describe_allowed(schema: JsonObject, draft: Draft) -> str:
    """Returns the values that `const` or `enum` allow, for a sentence."""
    if "const" in schema and draft > 4:
        return describe(schema["const"])
    values = cast("list[object]", schema["enum"])
    others = ", …" if len(values) > MAX_LISTED_VALUES else ""
    return f"one of {', '.join(map(describe, values[:MAX_LISTED_VALUES]))}{others}"
