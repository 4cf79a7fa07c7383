"""Characters, classes and assertions in the syntax of the regex engines. Pure.

Invariants: a character is written by its number, so that it has no special meaning for an engine.
(https://docs.rs/regex/latest/regex/#syntax)
"""

ANY_CHARACTER = r"[\x{0}-\x{10FFFF}]"
NO_CHARACTER = r"[^\x{0}-\x{10FFFF}]"
ANY_EXCEPT_LINE_END = r"[^\x{A}\x{D}\x{2028}\x{2029}]"
_WORD = "[0-9A-Za-z_]"
# Each engine has a syntax for word boundaries that the other one rejects.
LINEAR_BOUNDARIES = {"b": r"(?-u:\b)", "B": r"(?-u:\B)"}
LOOKAROUND_BOUNDARIES = {
    "b": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "B": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}
# Written as members of classes: the library does not support a class inside of a class.
CLASS_ESCAPES = {
    "d": r"0-9",
    "D": r"\x{0}-\x{2F}\x{3A}-\x{10FFFF}",
    "w": r"0-9A-Za-z_",
    "W": r"\x{0}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{5E}\x{60}\x{7B}-\x{10FFFF}",
    "s": r"\x{9}-\x{D}\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}",
    "S": r"\x{0}-\x{8}\x{E}-\x{1F}\x{21}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}"
    r"\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}",
}


def render_literal(code: int) -> str:
    """Returns a character. Half of a surrogate pair matches nothing: the engines see complete characters only."""
    return render_range(code, code) or NO_CHARACTER


def render_range(first: int, last: int) -> str:
    """Returns a range for a class, without halves of surrogate pairs."""
    first = 0xE000 if 0xD800 <= first < 0xE000 else first
    last = 0xD7FF if 0xD800 <= last < 0xE000 else last
    if first >= last:
        return _render_character(first) if first == last else ""
    return f"{_render_character(first)}-{_render_character(last)}"


def _render_character(code: int) -> str:
    return chr(code) if code < 0x80 and chr(code).isalnum() else f"\\x{{{code:X}}}"
