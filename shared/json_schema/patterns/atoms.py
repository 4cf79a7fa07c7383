"""Reads the characters, classes and escapes of a regular expression of ECMA-262. Pure."""

import re

from shared.json_schema.patterns.engine_syntax import (
    ANY_CHARACTER,
    CLASS_ESCAPES,
    NO_CHARACTER,
    render_literal,
    render_range,
)
from shared.json_schema.patterns.unicode_properties import is_unicode_property

# The weight of a class with a Unicode property, relative to a character.
PROPERTY_CLASS_WEIGHT = 300
# The number of characters in a range that are as much work as one, when case is ignored.
CASES_PER_UNIT = 50
LIGHT_PROPERTIES = frozenset({"Any", "ASCII", "ASCII_Hex_Digit", "AHex", "Cc", "Control", "cntrl", "Zs", "Zl", "Zp"})
MAX_CODE_POINT = 0x10FFFF
SYNTAX_CHARACTERS = frozenset("^$\\.*+?()[]{}|/")
CONTROL_ESCAPES = {"f": 0xC, "n": 0xA, "r": 0xD, "t": 0x9, "v": 0xB}
UNSUPPORTED_ESCAPES = {
    "A": "`\\A` is not part of ECMA-262; write `^`",
    "Z": "`\\Z` is not part of ECMA-262; write `$`",
    "z": "`\\z` is not part of ECMA-262; write `$`",
}
_HEX = re.compile("[0-9A-Fa-f]+")
_DIGIT = re.compile("[0-9]")
_DIGITS = re.compile("[0-9]*")
_PROPERTY = re.compile(r"\{([A-Za-z0-9_=]+)\}")


class PatternFault(Exception):
    """An invalid pattern; the message has the place and the fault."""


class AtomReader:
    """Reads a pattern from left to right. Mutable: the position, the flags there, and the results.

    unmatchable: why no engine can match the pattern. case_work: the additional weight of classes that ignore case.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.named_references: list[tuple[str, int]] = []
        self.numbered_references: list[tuple[int, int]] = []
        self.unmatchable: str | None = None
        self.flags = frozenset[str]()
        self.case_work = 0

    def build_fault(self, message: str, at: int | None = None) -> PatternFault:
        """Returns a fault with its place. at: the place; default: the current position."""
        place = min(self.position if at is None else at, len(self.text))
        near = self.text[place : place + 12].encode("utf-8", "replace").decode()
        quoted = f" (`{near}`)" if near else ""
        return PatternFault(f"at character {place + 1}{quoted}: {message}")

    def at_end(self) -> bool:
        return self.position >= len(self.text)

    def peek(self, length: int = 1) -> str:
        return self.text[self.position : self.position + length]

    def take(self, expected: str) -> bool:
        """Skips the expected text; returns whether it was there."""
        found = self.text.startswith(expected, self.position)
        if found:
            self.position += len(expected)
        return found

    def read_digits(self) -> str:
        found = _DIGITS.match(self.text, self.position)
        assert found
        self.position = found.end()
        return found[0]

    def read_escape(self) -> tuple[str, int]:
        """Reads an escape outside of a class; returns it in the syntax of the engines, and its weight."""
        start = self.position
        following = self.peek(2)[1:]
        if following and following in "123456789":
            self.position += 1
            digits = self.read_digits()
            self.numbered_references.append((int(digits) if len(digits) < 10 else 10**10, start))
            self.unmatchable = "a reference to a group"
            return "", 1
        if self.take("\\k"):
            if not self.take("<"):
                raise self.build_fault("`\\k` needs the name of a group: `\\k<name>`", start)
            self.named_references.append((self.read_group_name(), start))
            self.unmatchable = "a reference to a group"
            return "", 1
        found = self._read_class_escape()
        return (f"[{found[0]}]", found[1]) if found else (render_literal(self._read_character_escape()), 1)

    def read_character_class(self) -> tuple[str, int]:
        """Reads `[…]`; returns it in the syntax of the engines, and its weight."""
        start = self.position
        self.position += 1
        negated = self.take("^")
        members: list[str] = []
        weight = 1
        while not self.take("]"):
            if self.at_end():
                raise self.build_fault("this `[` is not closed; write `\\[` for the character", start)
            at = self.position
            first = self._read_class_member()
            if self.peek() != "-" or self.peek(2) in {"-]", "-"}:
                members.append(render_range(first, first) if isinstance(first, int) else first[0])
                weight += 1 if isinstance(first, int) else first[1]
                continue
            self.position += 1
            last = self._read_class_member()
            if not isinstance(first, int) or not isinstance(last, int):
                raise self.build_fault(
                    "a set such as `\\d` can't be the end of a range; write `\\-` for the character", at
                )
            if last < first:
                raise self.build_fault("a range ends before it begins", at)
            members.append(render_range(first, last))
            weight += 2
            self._add_case_work(last - first)
        written = "".join(members)
        if not written:
            return (ANY_CHARACTER if negated else NO_CHARACTER), 1
        return f"[{'^' if negated else ''}{written}]", weight

    def _read_class_member(self) -> int | tuple[str, int]:
        if self.peek() != "\\":
            character = self.peek()
            self.position += 1
            return ord(character)
        if self.take("\\b"):
            return 0x8
        if self.take("\\-"):
            return ord("-")
        return self._read_class_escape() or self._read_character_escape()

    def _read_class_escape(self) -> tuple[str, int] | None:
        start = self.position
        letter = self.peek(2)[1:]
        if letter in CLASS_ESCAPES:
            self.position += 2
            self._add_case_work(MAX_CODE_POINT if letter.isupper() else 0)
            return CLASS_ESCAPES[letter], 4
        if letter not in {"p", "P"}:
            return None
        found = _PROPERTY.match(self.text, start + 2)
        if not found or not is_unicode_property(found[1]):
            raise self.build_fault(
                f"`\\{letter}` needs a property of Unicode by its exact name, such as `\\p{{L}}`", start
            )
        self.position = found.end()
        weight = 5 if found[1] in LIGHT_PROPERTIES else PROPERTY_CLASS_WEIGHT
        return f"\\{letter}{{{found[1]}}}", weight

    def _add_case_work(self, characters: int) -> None:
        if "i" in self.flags:
            self.case_work += characters // CASES_PER_UNIT

    def _read_character_escape(self) -> int:
        """Reads an escape that stands for one character; returns its number."""
        start = self.position
        letter = self.peek(2)[1:]
        self.position += 2
        match letter:
            case "":
                raise self.build_fault("a `\\` ends the pattern; write `\\\\` for the character", start)
            case "0" if not _DIGIT.match(self.peek()):
                return 0
            case "c" if self.peek().isascii() and self.peek().isalpha():
                self.position += 1
                return ord(self.text[self.position - 1]) % 32
            case "x" if (code := self._read_hex(2)) is not None:
                return code
            case "u" if (code := self._read_unicode_escape()) is not None:
                return code
            case _ if letter in CONTROL_ESCAPES:
                return CONTROL_ESCAPES[letter]
            case _ if letter in SYNTAX_CHARACTERS:
                return ord(letter)
            case _:
                why = UNSUPPORTED_ESCAPES.get(
                    letter, "ECMA-262 has no such escape; for the character itself, leave out the `\\`"
                )
                raise self.build_fault(why, start)

    def _read_hex(self, length: int) -> int | None:
        found = _HEX.match(self.text, self.position, self.position + length)
        if not found or len(found[0]) != length:
            return None
        self.position = found.end()
        return int(found[0], 16)

    def _read_unicode_escape(self) -> int | None:
        if self.peek() == "{":
            found = _HEX.match(self.text, self.position + 1)
            digits = found[0].lstrip("0") if found else ""
            if not found or self.text[found.end() : found.end() + 1] != "}" or len(digits) > 6:
                return None
            code = int(digits or "0", 16)
            if code > MAX_CODE_POINT:
                return None
            self.position = found.end() + 1
            return code
        high = self._read_hex(4)
        if high is None or not 0xD800 <= high < 0xDC00 or self.peek(2) != "\\u":
            return high
        after = self.position
        self.position += 2
        low = self._read_hex(4)
        if low is not None and 0xDC00 <= low < 0xE000:
            return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
        self.position = after
        return high

    def read_group_name(self) -> str:
        """Reads a name up to its `>`; returns it."""
        start = self.position
        name = ""
        while not self.take(">"):
            if self.at_end():
                raise self.build_fault("the name of a group is not closed by `>`", start)
            if self.take("\\u"):
                code = self._read_unicode_escape()
                if code is None:
                    raise self.build_fault("the name of a group has an invalid escape", start)
                name += chr(code)
            else:
                name += self.peek()
                self.position += 1
        # Names may contain `$`, which identifiers of Python can't.
        if not name.replace("$", "_").isidentifier() or name.encode("utf-8", "ignore").decode() != name:
            raise self.build_fault(f"`{name[:20]}` can't be the name of a group", start)
        return name
