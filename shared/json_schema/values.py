"""JSON values for evaluation: exact numbers, and equality as in JSON Schema. Pure.

Invariants: no number is rounded; 1 and 1.0 are equal, and neither equals `true`.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NoReturn, cast

MAX_NUMBER_LENGTH = 1000

type Number = int | Decimal


class InvalidJson(Exception):
    """A text that is not JSON, or exceeds a limit of this parser; the message has the reason."""


def parse_json(text: str) -> object:
    """Returns the value, with exact numbers: int or Decimal. Raises InvalidJson."""
    try:
        return cast(
            "object",
            json.loads(text, parse_int=_parse_int, parse_float=_parse_decimal, parse_constant=_refuse_constant),
        )
    except RecursionError as error:
        raise InvalidJson("it is nested too deeply") from error
    except ValueError as error:
        raise InvalidJson("it is not valid JSON") from error


def _parse_int(text: str) -> int:
    _check_length(text)
    return int(text)


def _parse_decimal(text: str) -> Decimal:
    _check_length(text)
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise InvalidJson("it has a number beyond the supported range") from error


def _check_length(text: str) -> None:
    if len(text) > MAX_NUMBER_LENGTH:
        raise InvalidJson(f"it has a number of more than {MAX_NUMBER_LENGTH:,} characters")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def is_number(value: object) -> bool:
    """Returns whether a value is a number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Returns whether a value is an integer, in any notation."""
    if isinstance(value, Decimal):
        return _reduce(value)[1] >= 0
    return isinstance(value, int) and not isinstance(value, bool)


def is_multiple(value: Number, divisor: Number) -> bool:
    """Returns whether a number is a multiple of another, exactly; large exponents take no more time than small ones."""
    coefficient, exponent = _reduce(value)
    part, power = _reduce(divisor)
    if not coefficient:
        return True
    # A coefficient without zeros at its end is not a multiple of a power of ten.
    return exponent >= power and coefficient * pow(10, exponent - power, abs(part)) % part == 0


def _reduce(value: Number) -> tuple[int, int]:
    """Returns a number as a coefficient without zeros at its end, and a power of ten."""
    if isinstance(value, int):
        digits, exponent = str(value), 0
    else:
        sign, figures, power = value.as_tuple()
        digits, exponent = ("-" if sign else "") + "".join(map(str, figures)), cast("int", power)
    stripped = digits.rstrip("0")
    if stripped in {"", "-"}:
        return 0, 0
    return int(stripped), exponent + len(digits) - len(stripped)


def freeze(value: object) -> object:
    """Returns a hashable form, equal for two values exactly when they are equal in JSON Schema."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        return "object", frozenset((name, freeze(inner)) for name, inner in fields.items())
    if isinstance(value, list):
        return "list", tuple(map(freeze, cast("list[object]", value)))
    return ("boolean", value) if isinstance(value, bool) else ("scalar", value)


def count_values(value: object) -> int:
    """Returns the number of values in a value, itself included."""
    if isinstance(value, Mapping):
        return 1 + sum(map(count_values, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list):
        return 1 + sum(map(count_values, cast("Sequence[object]", value)))
    return 1


def describe(value: object) -> str:
    """Returns a value for a sentence; of objects and lists only the kind."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"'{value}'" if len(value) <= 40 else f"'{value[:40]}…'"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case _:
            text = str(value)
            return text if len(text) <= 40 else f"{text[:40]}…"
