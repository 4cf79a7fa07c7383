"""Glob patterns, as git and ripgrep read them: `*`, `?`, `[…]`, `**` for any folders, `{a,b}` for either. Pure.

Invariants: a match takes at most as many steps as the path has folders times those of the pattern, since the author of a pattern
may be hostile.
A pattern without a slash matches names in any folder; one with a slash matches paths from where the search starts.
"""

import fnmatch
import re

from msgspec import Struct

ANY_FOLDERS = "**"
MAX_ALTERNATIVES = 64
MAX_PATTERN_LENGTH = 1000
WILDCARD = re.compile(r"[*?\[{\\]")
TOKEN = re.compile(r"\\(?P<plain>.)|\[(?P<but>[!^]?)(?P<of>\]?[^\]]*)\]|(?P<odd>[\\\[])|(?P<other>.)", re.DOTALL)


class InvalidGlob(Exception):
    """It can't be understood; the message says why."""


class Glob(Struct, frozen=True):
    """A pattern without alternatives, folder by folder; None stands for any folders."""

    parts: tuple[re.Pattern[str] | None, ...]

    def matches(self, path: str) -> bool:
        """Whether it is one of these. path: from where the search begins."""
        names, parts = path.split("/"), self.parts
        name = part = 0
        # Where to go on if the rest does not fit: what was any folders takes one more.
        again: tuple[int, int] | None = None
        while name < len(names):
            if part < len(parts) and parts[part] is None:
                again = (name, part)
                part += 1
            elif part < len(parts) and (one := parts[part]) and one.match(names[name]):
                name, part = name + 1, part + 1
            elif again:
                name, part = again[0] + 1, again[1] + 1
                again = (name, again[1])
            else:
                return False
        return part == len(parts)


def parse_globs(pattern: str) -> tuple[Glob, ...]:
    """Those that a pattern stands for: a path that fits one of them fits it. Raises InvalidGlob."""
    return tuple(Glob(tuple(_compile_folder(part) for part in _split_folders(one))) for one in expand_braces(pattern))


def build_ignore_rules(pattern: str) -> bytes:
    """As an ignore file for ripgrep, which ignores all else. It may let more through than `globs`, and never less. Raises InvalidGlob."""
    lines = ["*", "!*/"]
    for one in expand_braces(pattern):
        # What would end a line, or be left out at its end, is any character.
        line = "".join("?" if char in "\r\n" else char for char in "/".join(["", *_split_folders(one)]))
        lines.append("!" + line.rstrip() + "?" * (len(line) - len(line.rstrip())))
    return "\n".join([*lines, ""]).encode(errors="surrogateescape")


def expand_braces(pattern: str) -> list[str]:
    """The patterns without `{a,b}` that it stands for. Raises InvalidGlob."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidGlob(f"it is longer than {MAX_PATTERN_LENGTH} characters")
    found = [""]
    # Of each brace that is open: what was before it, and the alternatives that are whole.
    above: list[tuple[list[str], list[str]]] = []
    for piece in TOKEN.finditer(pattern):
        match piece[0]:
            case "{":
                above.append((found, []))
                found = [""]
            case "," if above:
                above[-1][1].extend(found)
                found = [""]
            case "}" if above:
                before, whole = above.pop()
                ends = [*whole, *found]
                if len(before) * len(ends) > MAX_ALTERNATIVES:
                    raise InvalidGlob(f"it stands for more than {MAX_ALTERNATIVES} patterns")
                found = [start + end for start in before for end in ends]
            case text if piece["odd"]:
                raise InvalidGlob("a [ is not closed" if text == "[" else "nothing follows the last \\")
            case text:
                found = [each + text for each in found]
    if above:
        raise InvalidGlob("a { is not closed")
    return found


def split_prefix(pattern: str) -> tuple[str, str]:
    """The folders that a pattern begins with, spelled out, and the rest of it."""
    parts = pattern.split("/")
    count = next((at for at, part in enumerate(parts[:-1]) if WILDCARD.search(part)), len(parts) - 1)
    return "/".join(parts[:count]), "/".join(parts[count:])


def _split_folders(pattern: str) -> list[str]:
    """Folder by folder, from where the search begins. A folder stands for all that is below it."""
    whole = pattern.removeprefix("./")
    parts = whole.removeprefix("/").split("/")
    if not parts[-1]:
        parts[-1] = ANY_FOLDERS
    if "/" not in whole:
        parts.insert(0, ANY_FOLDERS)
    return [*parts, "*"] if parts[-1] == ANY_FOLDERS else parts


def _compile_folder(part: str) -> re.Pattern[str] | None:
    if part == ANY_FOLDERS:
        return None
    # Its stars take as little as they can, and give nothing back.
    return re.compile(fnmatch.translate("".join(_to_fnmatch(piece) for piece in TOKEN.finditer(part))))


def _to_fnmatch(piece: re.Match[str]) -> str:
    """A piece of a pattern as `fnmatch` has it."""
    if piece["plain"]:
        return f"[{piece['plain']}]" if piece["plain"] in "*?[" else piece["plain"]
    return f"[!{piece['of']}]" if piece["but"] else piece[0]
