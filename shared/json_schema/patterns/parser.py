"""Parses regular expressions of ECMA-262 in unicode mode, and translates them for the regex engines. Pure.

Invariants: a pattern is accepted exactly if `new RegExp(pattern, "u")` accepts it; others are rejected with the place of the
fault. Parsing is linear in the length of the pattern.
(https://tc39.es/ecma262/#sec-patterns)
"""

from functools import lru_cache

from msgspec import Struct

from shared.json_schema.patterns.atoms import AtomReader
from shared.json_schema.patterns.engine_syntax import (
    ANY_CHARACTER,
    ANY_EXCEPT_LINE_END,
    LINEAR_BOUNDARIES,
    LOOKAROUND_BOUNDARIES,
    render_literal,
)

MAX_GROUP_DEPTH = 100
UNEXPECTED_CHARACTERS = {
    **{character: f"`{character}` has nothing to repeat" for character in "*+?"},
    **{character: f"this `{character}` closes nothing; write `\\{character}`" for character in "]}"},
    "{": "this `{` repeats nothing; write `\\{`, or `{0,n}` for a count from 0",
}
# Larger counts are treated as this one, which is far beyond any limit.
MAX_REPETITION = 10**12
# The weight of a class that ignores case, relative to one that does not.
IGNORE_CASE_WEIGHT = 4
MODIFIER_FLAGS = frozenset("ims")
UNSUPPORTED_GROUPS = {
    "(?P<": "`(?P<name>…)` is Python's; write `(?<name>…)`",
    "(?P=": "`(?P=name)` is Python's; write `\\k<name>`",
    "(?#": "comments are not part of ECMA-262; leave them out",
    "(?>": "atomic groups are not part of ECMA-262; write `(?:…)`",
    "(?(": "conditions are not part of ECMA-262",
}


class Pattern(Struct, frozen=True):
    """A parsed pattern.

    rust: the translation for the engine. weight: its size with repetitions written out. backtracks: it has lookaround.
    unmatchable: why no engine can match it.
    """

    rust: str
    weight: int
    backtracks: bool = False
    unmatchable: str | None = None


@lru_cache(maxsize=512)
def parse_pattern(text: str) -> Pattern:
    """Parses a pattern. Raises PatternFault."""
    found = _Parser(text, looks_around=False).parse()
    return _Parser(text, looks_around=True).parse() if found.backtracks else found


class _Parser(AtomReader):
    """Parses one pattern from left to right. Mutable: the position and the results."""

    def __init__(self, text: str, *, looks_around: bool) -> None:
        super().__init__(text)
        self._boundaries = LOOKAROUND_BOUNDARIES if looks_around else LINEAR_BOUNDARIES
        self._depth = 0
        self._groups = 0
        self._names: set[str] = set()
        self._looks_around = False

    def parse(self) -> Pattern:
        rust, weight, _ = self._parse_alternatives()
        if not self.at_end():
            raise self.build_fault("this `)` closes nothing; write `\\)`")
        for name, at in self.named_references:
            if name not in self._names:
                raise self.build_fault(f"no group is called `{name}`", at)
        for number, at in self.numbered_references:
            if number > self._groups:
                raise self.build_fault(f"there is no group {number}", at)
        return Pattern(rust, max(1, weight + self.case_work), self._looks_around, self.unmatchable)

    def _parse_alternatives(self) -> tuple[str, int, set[str]]:
        """Returns the expression, its weight, and the names of the groups in it."""
        rust, weight, names = self._parse_sequence()
        written = [rust]
        while self.take("|"):
            rust, more, others = self._parse_sequence()
            written.append(rust)
            weight += more
            # A name may occur in several alternatives, because only one of them matches.
            names |= others
        return "|".join(written), weight, names

    def _parse_sequence(self) -> tuple[str, int, set[str]]:
        written: list[str] = []
        weight = 0
        names: set[str] = set()
        while not self.at_end() and self.peek() not in "|)":
            at = self.position
            rust, one, others, repeatable = self._parse_term()
            if names & others:
                raise self.build_fault(f"two groups are called `{min(names & others)}`", at)
            names |= others
            repetition, most = self._parse_quantifier() if repeatable else ("", 1)
            written.append(rust + repetition)
            weight = min(weight + one * max(1, most), MAX_REPETITION)
        return "".join(written), weight, names

    def _parse_term(self) -> tuple[str, int, set[str], bool]:
        """Returns an expression, its weight, the names in it, and whether it may be repeated."""
        character = self.peek()
        match character:
            case "^" | "$":
                if "m" in self.flags:
                    self.unmatchable = "the flag m"
                self.position += 1
                return character, 1, set(), False
            case "\\" if self.peek(2) in {"\\b", "\\B"}:
                self.position += 2
                return self._boundaries[self.text[self.position - 1]], 2, set(), False
            case "(":
                return self._parse_group()
            case "[":
                rust, weight = self.read_character_class()
            case "\\":
                rust, weight = self.read_escape()
            case ".":
                self.position += 1
                rust, weight = (ANY_CHARACTER, 1) if "s" in self.flags else (ANY_EXCEPT_LINE_END, 2)
            case _ if character in UNEXPECTED_CHARACTERS:
                raise self.build_fault(UNEXPECTED_CHARACTERS[character])
            case _:
                self.position += 1
                rust, weight = render_literal(ord(character)), 1
        return rust, weight * (IGNORE_CASE_WEIGHT if "i" in self.flags and weight > 1 else 1), set(), True

    def _parse_group(self) -> tuple[str, int, set[str], bool]:
        start = self.position
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            raise self.build_fault(f"groups are nested more than {MAX_GROUP_DEPTH} deep")
        outer = self.flags
        opening, names = self._parse_group_opening()
        rust, weight, inner = self._parse_alternatives()
        if not self.take(")"):
            raise self.build_fault("this `(` is not closed; write `\\(` for the character", start)
        self.flags = outer
        self._depth -= 1
        if names & inner:
            raise self.build_fault(f"two groups are called `{min(names)}`", start)
        return f"{opening}{rust})", weight + 1, names | inner, opening in {"(?:", "(?i:", "(?-i:"}

    def _parse_group_opening(self) -> tuple[str, set[str]]:
        """Returns the start of a group in the syntax of the engines, and the group's name if it has one."""
        start = self.position
        for foreign, why in UNSUPPORTED_GROUPS.items():
            if self.text.startswith(foreign, start):
                raise self.build_fault(why)
        for looking in ("(?=", "(?!", "(?<=", "(?<!"):
            if self.take(looking):
                self._looks_around = True
                return looking, set()
        if self.take("(?:"):
            return "(?:", set()
        if self.take("(?<"):
            name = self.read_group_name()
            self._names.add(name)
            self._groups += 1
            return "(?:", {name}
        if self.take("(?"):
            return self._parse_modifiers(start), set()
        self.position += 1
        self._groups += 1
        return "(?:", set()

    def _parse_modifiers(self, start: int) -> str:
        end = start + 2
        while self.text[end : end + 1] in {*MODIFIER_FLAGS, "-"}:
            end += 1
        added, dash, removed = self.text[start + 2 : end].partition("-")
        letters = added + removed
        if self.text[end : end + 1] != ":" or "-" in removed or len(set(letters)) != len(letters) or not letters:
            if not dash and self.text[end : end + 1] == ")" and letters:
                why = f"flags for the rest of a pattern are Python's; write `(?{letters}:…)` around the part that they apply to"
            else:
                why = "`(?` does not start a group of ECMA-262"
            raise self.build_fault(why, start)
        self.position = end + 1
        before = self.flags
        self.flags = (before | set(added)) - set(removed)
        if "i" in self.flags and "i" not in before:
            return "(?i:"
        return "(?-i:" if "i" in before and "i" not in self.flags else "(?:"

    def _parse_quantifier(self) -> tuple[str, int]:
        """Returns a repetition, and the number of copies of its expression when it is written out."""
        written, most = self.peek(), 1
        if written == "{":
            written, most = self._parse_counts()
        elif written in {"*", "+", "?"}:
            self.position += 1
        else:
            return "", 1
        # Greedy or lazy makes no difference to whether a text matches.
        self.take("?")
        return written, most

    def _parse_counts(self) -> tuple[str, int]:
        start = self.position
        self.position += 1
        low = self.read_digits()
        comma = self.take(",")
        high = self.read_digits() if comma else ""
        if not low or not self.take("}"):
            raise self.build_fault("this `{` does not start a count; write `\\{`, or `{0,n}` for a count from 0", start)
        least = _parse_count(low)
        most = _parse_count(high) if high else least
        if most < least:
            raise self.build_fault("a count's second number is less than its first", start)
        if comma and not high:
            return f"{{{least},}}", least + 1
        return f"{{{least},{most}}}", most


def _parse_count(digits: str) -> int:
    # The digits after these make no difference: the number is above the limit without them.
    leading = digits.lstrip("0")[: len(str(MAX_REPETITION)) + 1]
    return min(int(leading or "0"), MAX_REPETITION)
