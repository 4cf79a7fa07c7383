"""Values of the request types in a vendor's SDK: every field once, and the same value without it.

A place in a type is written as `field[kind].field`, where the kind is the literal type or role of a member of a union.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, Required, TypeAliasType, Union, get_args, get_origin

import msgspec
from typing_extensions import get_type_hints, is_typeddict

type Json = dict[str, Any]
# The place of a field, a value with it, and one without it or with another.
type Variant = tuple[str, Any, Any]
# Values that mean something, by the last name of the field.
type Words = Mapping[str, tuple[Any, ...]]

MISSING: Any = msgspec.UNSET


def unwrap(kind: Any) -> Any:
    """A type without what is said about it."""
    while isinstance(kind, TypeAliasType) or get_origin(kind) in {Required, NotRequired}:
        kind = kind.__value__ if isinstance(kind, TypeAliasType) else get_args(kind)[0]
    return kind


def find_tag(kind: Any) -> str:
    """The literal type or role of a typed dict."""
    hints = get_type_hints(kind)
    for name in ("type", "role"):
        values = get_args(hints.get(name))
        literals = [value for value in values if isinstance(value, str)]
        if len(literals) == 1:
            return literals[0]
    return "message" if "role" in hints else ""


def list_literals(kind: Any) -> tuple[Any, ...]:
    """The values of a type that has no parts."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return {bool: (True, False), int: (1, 2), float: (0.5, 1.0), str: ("x", "y")}.get(kind, ({"k": "v"}, {"k": "w"}))


def build_minimal(kind: Any, name: str, words: Words) -> Any:
    """The shortest value of a type."""
    return next(iter(list_variants(kind, name, words)))[1]


def build_required(kind: Any, words: Words) -> Json:
    """A typed dict with the fields that it must have."""
    hints = get_type_hints(kind, include_extras=True)
    # The SDK's annotations are texts, so a typed dict does not know its own.
    whole = {name for name in kind.__required_keys__ if kind.__total__ and get_origin(hints[name]) is not NotRequired}
    names = [name for name, hint in hints.items() if name in whole or get_origin(hint) is Required]
    return {name: build_minimal(hints[name], name, words) for name in names}


def list_variants(kind: Any, name: str, words: Words, seen: tuple[Any, ...] = ()) -> Iterator[Variant]:
    """Every field of a type, with values. name: of the field that has the type."""
    kind = unwrap(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield "", build_required(kind, words), MISSING
        if kind not in seen:
            yield from _fields(kind, words, (*seen, kind))
    elif origin in {Union, type(int | str)}:
        for part in inner:
            yield from _member(part, name, words, seen)
    elif origin not in {None, Literal, dict} and len(inner) == 1:
        for place, value, other in list_variants(inner[0], name, words, seen):
            yield place, [value], MISSING if other is MISSING else [other]
    elif kind is not type(None):
        values = words.get(name, list_literals(kind))
        yield from (("", value, MISSING) for value in values)
        yield from [("", values[0], values[1])] if len(values) > 1 else ()


def _member(part: Any, name: str, words: Words, seen: tuple[Any, ...]) -> Iterator[Variant]:
    """A member of a union."""
    named = find_tag(unwrap(part)) if is_typeddict(unwrap(part)) else ""
    for place, value, other in list_variants(part, name, words, seen):
        yield (f"[{named}]{place}" if named else place), value, other


def _fields(kind: Any, words: Words, seen: tuple[Any, ...]) -> Iterator[Variant]:
    """The fields of a typed dict."""
    base = build_required(kind, words)
    for field, hint in get_type_hints(kind).items():
        for place, value, other in list_variants(hint, field, words, seen):
            whole = {**base, field: value}
            if other is not MISSING and (place or field in base):
                yield f".{field}{place}", whole, {**base, field: other}
            elif other is MISSING:
                yield f".{field}{place}", whole, MISSING if field in base else base
