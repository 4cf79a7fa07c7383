"""Finds the values in JSON that a JavaScript parser changes, and protects numbers from it. Pure.

The CLI is written in JavaScript. It parses its input and serializes it again, so that 2512292042121000001 becomes
2512292042121000000, 1.0 becomes 1, `{"b":0,"1":0}` becomes `{"1":0,"b":0}`, and only the last of two equal names is kept.

Invariants: text that is not JSON is not changed, and nothing is found in it. The time is linear in the length of the text.
(https://tc39.es/ecma262/#sec-numeric-types-number-tostring, #sec-ordinaryownpropertykeys)
"""

import json
import re
from decimal import Decimal
from typing import NoReturn, cast

from msgspec import Struct

from shared.text.json_path import Step, render_path

MAX_PLACES = 8
# The search ends after so many tokens and reports the rest as `$`.
MAX_JSON_TOKENS = 200_000
MAX_PLACE_DEPTH = 32
# Every double holds so many decimal digits, whatever its exponent.
SAFE_DIGITS = 15
# So many digits identify any double.
MAX_DOUBLE_DIGITS = 17
MAX_EXPONENT_DIGITS = 6
MAX_ARRAY_INDEX = 2**32 - 2

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
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*+)(?:\.([0-9]++))?(?:[eE]([+-]?[0-9]++))?")
_TOKEN = re.compile(rf"[ \t\r\n]*+({_STRING}|[\[\]{{}},:]|[^\s\[\]{{}},:\"]++)")


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
        if not _Decimal.parse(number).is_exact():
            written += [text[done:position], f'"{number[0]}"']
            done = number.end()
        position = number.end()
    if not written or _repeats_names(text) is None:
        return text
    return "".join([*written, text[done:]])


def may_alter(text: str) -> bool:
    """Returns whether a JavaScript parser might change a text; False is certain, and fast."""
    return _skip(_UNCHANGED, text, 0) < len(text) or _repeats_names(text) is True


def find_alterations(text: str) -> tuple[str, ...]:
    """Returns the places in a JSON text, at most MAX_PLACES, that a JavaScript parser changes.

    These are numbers whose value or form changes, objects whose properties are reordered, and repeated properties.
    """
    repeats = _repeats_names(text)
    if repeats is None or (not repeats and _skip(_UNCHANGED, text, 0) == len(text)):
        return ()
    return _AlterationSearch(text).run()


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _repeats_names(text: str) -> bool | None:
    """Returns whether an object has a name twice, or is too deep to check; None for text that is not JSON."""

    def check(pairs: list[tuple[str, object]]) -> None:
        if len(pairs) > 1 and len(dict(pairs)) < len(pairs):
            nonlocal repeats
            repeats = True

    repeats = False
    try:
        json.loads(text, object_pairs_hook=check, parse_int=str, parse_float=str, parse_constant=_reject_constant)
    except RecursionError:
        return True
    except ValueError:
        return None
    return repeats


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


class _Decimal(Struct, frozen=True):
    """A number in JSON. digits: without zeros at either end; the value is 0.digits, times 10 ** exponent."""

    text: str
    negative: bool
    digits: str
    exponent: int | None

    @classmethod
    def parse(cls, number: re.Match[str]) -> "_Decimal":
        """Returns a match of `_NUMBER` as a number. exponent: None if it is beyond any double."""
        sign, whole, fraction, power = number.groups(default="")
        figures = whole + fraction
        digits = figures.lstrip("0")
        exponent = len(whole) - (len(figures) - len(digits))
        small = len(power.lstrip("+-0")) <= MAX_EXPONENT_DIGITS
        return cls(number[0], sign == "-", digits.rstrip("0"), exponent + int(power or "0") if small else None)

    def is_exact(self) -> bool:
        """Returns whether a double has the same digits."""
        if not self.digits:
            return True
        if len(self.digits) > MAX_DOUBLE_DIGITS or self.exponent is None:
            return False
        plain = f"0.{self.digits}e{self.exponent}"
        value = float(plain)
        return value not in {0.0, float("inf")} and Decimal(repr(value)) == Decimal(plain)

    def is_unchanged(self) -> bool:
        """Returns whether JavaScript serializes it unchanged."""
        return self.is_exact() and self.text == self._rewrite()

    def _rewrite(self) -> str:
        """Returns the number as JavaScript serializes it."""
        if not self.digits or self.exponent is None:
            return "0"
        size, point = len(self.digits), self.exponent
        if size <= point <= 21:
            text = self.digits + "0" * (point - size)
        elif 0 < point <= 21:
            text = f"{self.digits[:point]}.{self.digits[point:]}"
        elif -6 < point <= 0:
            text = f"0.{'0' * -point}{self.digits}"
        else:
            fraction = f".{self.digits[1:]}" if size > 1 else ""
            text = f"{self.digits[0]}{fraction}e{point - 1:+d}"
        return f"-{text}" if self.negative else text


class _OpenContainer:
    """An open object or list. Mutable: the position of the search in it, and the names so far."""

    __slots__ = ("at", "highest", "names", "sorted")

    def __init__(self, at: Step) -> None:
        self.at = at
        self.names: set[str] = set()
        # JavaScript puts index names first, in ascending order. -1: no index yet; None: no index may follow.
        self.highest: int | None = -1
        self.sorted = True

    def pass_comma(self) -> bool:
        """Passes a comma; returns whether a value comes next, not a name."""
        if isinstance(self.at, int):
            self.at += 1
        return isinstance(self.at, int)

    def add_name(self, name: str) -> bool:
        """Adds a property's name; returns whether it is new."""
        self.at = name
        if name in self.names:
            return False
        self.names.add(name)
        number = int(name) if re.fullmatch(_INDEX, name) else None
        if number is None or number > MAX_ARRAY_INDEX:
            self.highest = None
        elif self.highest is None or number < self.highest:
            self.sorted = False
        else:
            self.highest = number
        return True


class _AlterationSearch:
    """A search through a JSON text. Mutable: the position, and the places found."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._frames: list[_OpenContainer] = []
        self._found: dict[str, None] = {}
        # Whether the next string is a value, not a name.
        self._expects_value = False

    def run(self) -> tuple[str, ...]:
        """Returns the places."""
        position = count = 0
        while len(self._found) < MAX_PLACES and (found := _TOKEN.match(self._text, position)):
            position = found.end()
            count += 1
            if count > MAX_JSON_TOKENS:
                self._found.setdefault("$")
                break
            self._read_token(found[1])
        return tuple(self._found)

    def _read_token(self, part: str) -> None:
        match part[0]:
            case "{" | "[":
                self._frames.append(_OpenContainer(0 if part == "[" else ""))
                self._expects_value = part == "["
            case "}" | "]":
                closed = self._frames.pop()
                if not closed.sorted:
                    self._record_place()
                self._expects_value = True
            case "," | ":":
                self._expects_value = self._frames[-1].pass_comma() if part == "," else True
            case '"':
                self._read_string(part)
            case "t" | "f" | "n":
                pass
            case _:
                number = _NUMBER.fullmatch(part)
                if number is not None and not _Decimal.parse(number).is_unchanged():
                    self._record_place()

    def _read_string(self, part: str) -> None:
        if self._expects_value or not self._frames:
            return
        name = cast("str", json.loads(part)) if "\\" in part else part[1:-1]
        if not self._frames[-1].add_name(name):
            self._record_place()

    def _record_place(self) -> None:
        """Adds the current value to the places."""
        self._found.setdefault(render_path("$", [frame.at for frame in self._frames[:MAX_PLACE_DEPTH]]))
