"""Glob patterns, as git and ripgrep read them: `*`, `?`, `[…]`, `**` for any folders, `{a,b}` for either. Pure.

Invariants: the steps of a match are at most the folders of the path times those of the pattern, since the author of a
pattern may be hostile.
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
    """The pattern can't be parsed; the message says why."""


class Glob(Struct, frozen=True):
    """A pattern without alternatives, one part for each folder; None stands for any folders."""

    parts: tuple[re.Pattern[str] | None, ...]

    def matches(self, path: str) -> bool:
        """Whether the pattern matches. path: relative to the start of the search."""
        names, parts = path.split("/"), self.parts
        name = part = 0
        # Where to continue if the rest does not match: the last `**` then takes one more folder.
        retry: tuple[int, int] | None = None
        while name < len(names):
            if part < len(parts) and parts[part] is None:
                retry = (name, part)
                part += 1
            elif part < len(parts) and (regex := parts[part]) and regex.match(names[name]):
                name, part = name + 1, part + 1
            elif retry:
                name, part = retry[0] + 1, retry[1] + 1
                retry = (name, retry[1])
            else:
                return False
        return part == len(parts)


def parse_globs(pattern: str) -> tuple[Glob, ...]:
    """Returns the globs of a pattern: a path matches the pattern if it matches one of them. Raises InvalidGlob."""
    return tuple(Glob(tuple(_compile_folder(part) for part in _split_folders(one))) for one in expand_braces(pattern))


def build_ignore_rules(pattern: str) -> bytes:
    """Builds an ignore file for ripgrep that ignores everything else. Raises InvalidGlob.

    ripgrep may let more through than `parse_globs`, and never less.
    """
    lines = ["*", "!*/"]
    for one in expand_braces(pattern):
        # A line break, or a space at the end of a line, is written as any character.
        line = "".join("?" if char in "\r\n" else char for char in "/".join(["", *_split_folders(one)]))
        lines.append("!" + line.rstrip() + "?" * (len(line) - len(line.rstrip())))
    return "\n".join([*lines, ""]).encode(errors="surrogateescape")


def expand_braces(pattern: str) -> list[str]:
    """Returns the patterns without `{a,b}` that the pattern stands for. Raises InvalidGlob."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidGlob(f"it is longer than {MAX_PATTERN_LENGTH} characters")
    found = [""]
    # For each open brace: the patterns before it, and its complete alternatives.
    open_braces: list[tuple[list[str], list[str]]] = []
    for piece in TOKEN.finditer(pattern):
        match piece[0]:
            case "{":
                open_braces.append((found, []))
                found = [""]
            case "," if open_braces:
                open_braces[-1][1].extend(found)
                found = [""]
            case "}" if open_braces:
                before, alternatives = open_braces.pop()
                ends = [*alternatives, *found]
                if len(before) * len(ends) > MAX_ALTERNATIVES:
                    raise InvalidGlob(f"it stands for more than {MAX_ALTERNATIVES} patterns")
                found = [start + end for start in before for end in ends]
            case text if piece["odd"]:
                raise InvalidGlob("a [ is not closed" if text == "[" else "nothing follows the last \\")
            case text:
                found = [each + text for each in found]
    if open_braces:
        raise InvalidGlob("a { is not closed")
    return found


def split_prefix(pattern: str) -> tuple[str, str]:
    """Splits a pattern into its leading folders without wildcards, and the rest."""
    parts = pattern.split("/")
    count = next((at for at, part in enumerate(parts[:-1]) if WILDCARD.search(part)), len(parts) - 1)
    return "/".join(parts[:count]), "/".join(parts[count:])


def _split_folders(pattern: str) -> list[str]:
    """Splits a pattern into folders from the start of the search. A folder matches everything below it."""
    relative = pattern.removeprefix("./")
    parts = relative.removeprefix("/").split("/")
    if not parts[-1]:
        parts[-1] = ANY_FOLDERS
    if "/" not in relative:
        parts.insert(0, ANY_FOLDERS)
    return [*parts, "*"] if parts[-1] == ANY_FOLDERS else parts


def _compile_folder(part: str) -> re.Pattern[str] | None:
    if part == ANY_FOLDERS:
        return None
    # `fnmatch` translates stars to atomic groups, so a match does not backtrack.
    return re.compile(fnmatch.translate("".join(_to_fnmatch(piece) for piece in TOKEN.finditer(part))))


def _to_fnmatch(piece: re.Match[str]) -> str:
    """Translates a piece of a pattern to the syntax of `fnmatch`."""
    if piece["plain"]:
        return f"[{piece['plain']}]" if piece["plain"] in "*?[" else piece["plain"]
    return f"[!{piece['of']}]" if piece["but"] else piece[0]
