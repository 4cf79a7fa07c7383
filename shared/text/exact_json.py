"""Finds the values in JSON that a JavaScript parser changes, and protects numbers from it. Pure.

The CLI is written in JavaScript. It parses its input and serializes it again, so that 2512292042121000001 becomes
2512292042121000000, 1.0 becomes 1, `{"b":0,"1":0}` becomes `{"1":0,"b":0}`, and only the last of two equal names is kept.

Invariants: text that is not JSON is not changed, and nothing is found in it. The time is linear in the length of the text.
(https://tc39.es/ecma262/#sec-numeric-types-number-tostring, #sec-ordinaryownpropertykeys)
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import NoReturn, cast

from shared.text.json_path import Step, render_path

MAX_PLACES = 8
# The search ends after so many values and reports the rest as `$`.
MAX_JSON_VALUES = 100_000
MAX_PLACE_DEPTH = 32
# Every double holds so many decimal digits, whatever its exponent.
SAFE_DIGITS = 15
MAX_ARRAY_INDEX = 2**32 - 2
# Stands for a place that is altered whatever its value is.
_ALTERED = object()

_STRING = r'"(?:[^"\\]++|\\[\s\S])*+"'
_INDEX = r"(?:0|[1-9][0-9]{0,9})"
_INTEGER = rf"-?(?:[0-9]{{1,{SAFE_DIGITS}}}|[1-8][0-9]{{{SAFE_DIGITS}}})(?![0-9.eE])"
_FRACTION = rf"-?(?=[0-9.]{{3,{SAFE_DIGITS + 1}}}(?![0-9.eE]))[0-9]++\.[0-9]++"
_SMALL_EXPONENT = rf"-?(?=[0-9.]{{1,{SAFE_DIGITS}}}[eE])[0-9]++(?:\.[0-9]++)?[eE][+-]?[0-9]{{1,2}}(?![0-9])"
# Values that a double holds exactly, skipped at the speed of the regex engine.
_EXACT = re.compile(rf'(?:[^"0-9-]++|{_STRING}|{_INTEGER}|{_FRACTION}|{_SMALL_EXPONENT})*+')
_SAME_INTEGER = rf"(?:0|-?[1-9][0-9]{{0,{SAFE_DIGITS - 1}}}|-?[1-8][0-9]{{{SAFE_DIGITS}}})(?![0-9.eE])"
_SAME_FRACTION = (
    rf"-?(?=[0-9.]{{3,{SAFE_DIGITS + 1}}}(?![0-9.eE]))(?!0\.000000)(?:0|[1-9][0-9]*+)\.[0-9]*[1-9](?![0-9])"
)
# Values that are serialized unchanged, apart from the order of properties and repeated names.
_UNCHANGED = re.compile(rf'(?:[^"0-9-]++|(?!"{_INDEX}"[ \t\r\n]*+:){_STRING}|{_SAME_INTEGER}|{_SAME_FRACTION})*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_NONZERO = re.compile(r"-?[0.]*+[1-9]")


def quote_inexact_numbers(text: str) -> str:
    """Returns the JSON of a call's arguments with inexact numbers in quotes, so that the model reads the intended values.

    A number that a double can't hold becomes a string of the same characters; everything else stays the same, byte for byte.
    Repeated names stay too: JSON parsers keep the last one anyway.
    """
    written: list[str] = []
    done = position = 0
    while (position := _skip(_EXACT, text, position)) < len(text):
        number = _NUMBER.match(text, position)
        if number is None:
            return text
        if not _is_exact(number[0]):
            written += [text[done:position], f'"{number[0]}"']
            done = number.end()
        position = number.end()
    if not written or _parse(text) is None:
        return text
    return "".join([*written, text[done:]])


def find_alterations(text: str) -> tuple[str, ...]:
    """Returns the places in a JSON text, at most MAX_PLACES, that a JavaScript parser changes.

    These are numbers whose value or form changes, objects whose properties are reordered, and repeated properties.
    """
    parsed = _parse(text)
    if parsed is None:
        return ()
    value, repeats = parsed
    if not repeats and _skip(_UNCHANGED, text, 0) == len(text):
        return ()
    places = dict.fromkeys(render_path("$", path) for path in islice(_list_alterations(value), MAX_PLACES))
    return tuple(places)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _parse(text: str) -> tuple[object, bool] | None:
    """Returns the value, and whether an object has a name twice or is too deep to check; None for text that is not JSON.

    An object is a tuple of pairs, and a number is the bytes of its text.
    """

    def read_object(pairs: list[tuple[str, object]]) -> object:
        if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
            nonlocal repeats
            repeats = True
        return tuple(pairs)

    repeats = False
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=read_object,
            parse_int=str.encode,
            parse_float=str.encode,
            parse_constant=_reject_constant,
        )
    except RecursionError:
        return _ALTERED, True
    except ValueError:
        return None
    return value, repeats


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_exact(number: str) -> bool:
    """Returns whether a double has the same digits."""
    value = float(number)
    if not value:
        return not _NONZERO.match(number)
    return math.isfinite(value) and Decimal(repr(value)) == Decimal(number)


def _is_unchanged(number: str) -> bool:
    """Returns whether JavaScript serializes a number unchanged."""
    value = float(number)
    if not value or math.isinf(value):
        return number == "0"
    if 1e-6 <= abs(value) < 1e21:
        return number == f"{Decimal(repr(value)):f}".removesuffix(".0")
    digits, _, exponent = repr(value).partition("e")
    return number == f"{digits}e{int(exponent):+d}"


def _list_alterations(root: object) -> Iterator[tuple[Step, ...]]:
    """Yields the paths of what is altered, in the order of the text; the root's after too many values."""
    pending: list[tuple[tuple[Step, ...], object]] = [((), root)]
    for _ in range(MAX_JSON_VALUES):
        if not pending:
            return
        path, value = pending.pop()
        if value is _ALTERED or (isinstance(value, bytes) and not _is_unchanged(value.decode())):
            yield path
            continue
        parts: Iterable[tuple[Step, object]] = ()
        if isinstance(value, tuple):
            pairs = cast("Sequence[tuple[str, object]]", value)
            if _is_reordered(list(dict(pairs))):
                pending.append((path, _ALTERED))
            parts = _list_properties(pairs)
        elif isinstance(value, list):
            parts = enumerate(cast("list[object]", value))
        inner = [((*path, step)[:MAX_PLACE_DEPTH], part) for step, part in islice(parts, MAX_JSON_VALUES)]
        pending += reversed(inner)
    yield ()


def _list_properties(pairs: Sequence[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """Yields the properties of an object; a repeated one is altered."""
    names: set[str] = set()
    for name, value in pairs:
        if name in names:
            yield name, _ALTERED
        names.add(name)
        yield name, value


def _is_reordered(names: list[str]) -> bool:
    """Returns whether JavaScript changes the order of these properties: it puts index names first, in ascending order."""

    def get_rank(name: str) -> int:
        number = int(name) if re.fullmatch(_INDEX, name) else MAX_ARRAY_INDEX + 1
        return min(number, MAX_ARRAY_INDEX + 1)

    return sorted(names, key=get_rank) != names
