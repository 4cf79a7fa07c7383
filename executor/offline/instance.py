"""Builds a small value that satisfies a JSON schema. Pure.

Invariants: the value satisfies an ordinary schema. For any other schema it is an empty object, which the CLI then checks.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

SCHEMA_LIMIT = 10_000
FORMAT_EXAMPLES = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "email": "offline@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# The keyword of a bound, and the distance of the nearest allowed integer from it.
LOWER_BOUNDS = (("minimum", 0), ("exclusiveMinimum", 1))
UPPER_BOUNDS = (("maximum", 0), ("exclusiveMaximum", 1))

type Json = dict[str, Any]


class _Unsatisfiable(Exception):
    """Only an infinite or a very large value would satisfy the schema."""


def build_instance(schema: Json) -> Json:
    """Returns a small object that satisfies an ordinary JSON schema; an empty one if that fails."""
    try:
        instance = _build(schema, schema, frozenset(), iter(range(SCHEMA_LIMIT)))
    except (_Unsatisfiable, RecursionError, AttributeError, LookupError, TypeError, ValueError):
        # An invalid schema is not rejected here: the CLI checks the answer.
        instance = {}
    return cast("Json", instance) if isinstance(instance, dict) else {}


def _build(node: Any, schema: Json, refs: frozenset[str], budget: Iterator[int]) -> Any:
    """Builds a value for `node`, a part of `schema` reached through `refs`. Raises _Unsatisfiable."""
    if next(budget, None) is None:
        raise _Unsatisfiable
    match node:
        case {"const": value} | {"enum": [value, *_]} | {"default": value}:
            return value
        case {"$ref": str(ref)}:
            if ref in refs:
                raise _Unsatisfiable
            return _build(_resolve_pointer(schema, ref), schema, refs | {ref}, budget)
        case {"anyOf": [*options]} | {"oneOf": [*options]} | {"allOf": [*options]}:
            for option in options:
                with contextlib.suppress(_Unsatisfiable):
                    return _build(option, schema, refs, budget)
            raise _Unsatisfiable
        case _:
            return _build_by_type(node, lambda part: _build(part, schema, refs, budget))


def _build_by_type(node: Any, build: Callable[[Any], Any]) -> Any:
    match node:
        case {"type": [kind, *_]}:
            return build({**node, "type": kind})
        case {"type": "object"} | {"properties": _}:
            parts = node.get("properties", {})
            return {name: build(parts.get(name)) for name in node.get("required", [])}
        case {"type": "array"}:
            return [build(node.get("items")) for _ in range(node.get("minItems", 0))]
        case {"type": "string"}:
            text = FORMAT_EXAMPLES.get(node.get("format", ""), "offline")
            return text.ljust(min(node.get("minLength", 0), SCHEMA_LIMIT), ".")[: node.get("maxLength")]
        case {"type": "integer" | "number"}:
            low = max((node[name] + distance for name, distance in LOWER_BOUNDS if name in node), default=0)
            return min([max(low, 0), *(node[name] - distance for name, distance in UPPER_BOUNDS if name in node)])
        case {"type": "boolean"}:
            return False
        case _:
            return None


def _resolve_pointer(schema: Any, ref: str) -> Any:
    """Returns the part of `schema` at a JSON pointer such as `#/$defs/Name`. Raises LookupError."""
    for name in ref.removeprefix("#").split("/")[1:]:
        schema = schema[name.replace("~1", "/").replace("~0", "~")]
    return schema
