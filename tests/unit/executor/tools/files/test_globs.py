"""Glob patterns: which paths fit, what ripgrep is told, and how long the worst of them takes."""

import time

import pytest

from executor.tools.files.globs import (
    MAX_PATTERN_LENGTH,
    InvalidGlob,
    build_ignore_rules,
    expand_braces,
    parse_globs,
    split_prefix,
)


def fits(pattern: str, path: str) -> bool:
    return any(each.matches(path) for each in parse_globs(pattern))


@pytest.mark.parametrize(
    ("pattern", "those", "not_those"),
    [
        ("*.py", ["a.py", "src/a.py", "src/deep/.a.py"], ["a.pyc", "a.py/b"]),
        ("**/*", ["a", "src/a", ".github/w.yml"], []),
        ("*", ["a", "src/a"], []),
        ("**", ["a", "src/a"], []),
        ("src/**/*.py", ["src/a.py", "src/x/y/a.py"], ["a.py", "lib/src/a.py", "src/a.txt"]),
        ("src/*.py", ["src/a.py"], ["src/x/a.py", "x/src/a.py"]),
        ("./src/*.py", ["src/a.py"], ["src/x/a.py"]),
        ("src/**", ["src/a", "src/x/y"], ["src", "a"]),
        ("src/", ["src/a", "src/x/y"], ["src", "a"]),
        ("**/deep/*", ["deep/a", "src/deep/a"], ["deep/x/a", "a"]),
        ("/*.txt", ["a.txt"], ["src/a.txt"]),
        ("*.{ts,tsx}", ["a.ts", "x/b.tsx"], ["a.t", "a.ts.x"]),
        ("{src,lib/**}/a.{c,{h,hh}}", ["src/a.c", "lib/x/a.hh", "lib/a.h"], ["a.c", "src/x/a.c"]),
        ("[a-c]?.txt", ["b1.txt"], ["d1.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"], ["a.txt"]),
        ("[^a].txt", ["b.txt"], ["a.txt"]),
        ("\\*.txt", ["*.txt"], ["a.txt"]),
        ("\\{a,b}", ["{a,b}"], ["a"]),
        ("a,b", ["a,b"], ["a"]),
        ("!a", ["!a"], ["b"]),
        ("two\nlines*", ["two\nlines.txt"], ["two lines.txt"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
    ],
)
def test_path_fits_as_git_would_have_it(pattern: str, those: list[str], not_those: list[str]):
    """Names wherever they are, paths from where the search begins."""
    assert [path for path in those if not fits(pattern, path)] == []
    assert [path for path in not_those if fits(pattern, path)] == []


@pytest.mark.parametrize("pattern", ["{a", "a{b,{c}", "[a", "a\\", "{a,b}" * 9, "x" * (MAX_PATTERN_LENGTH + 1)])
def test_pattern_that_is_none_is_said_to_be(pattern: str):
    """And why."""
    with pytest.raises(InvalidGlob, match=r"not closed|follows|longer|more than"):
        expand_braces(pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("*a" * 400 + "b", "a" * 255), ("**/a/" * 180 + "b", "a/" * 400 + "c"), ("?*" * 400, "a" * 255 + "/")],
)
def test_no_pattern_takes_long(pattern: str, path: str):
    """Neither many stars nor many folders multiply."""
    began = time.process_time()
    assert not fits(pattern, path)
    # Of the processor, not of the clock. It is some milliseconds; of what multiplies nobody has seen the end.
    assert time.process_time() - began < 30


def test_ripgrep_is_told_one_rule_a_line():
    """Nothing of a pattern ends one, or is dropped at its end; what is to be found is said from the top."""
    assert build_ignore_rules("*.{a,b}") == b"*\n!*/\n!/**/*.a\n!/**/*.b\n"
    assert build_ignore_rules("a\n*\n!b ") == b"*\n!*/\n!/**/a?*?!b?\n"
    assert build_ignore_rules("#a") == b"*\n!*/\n!/**/#a\n"


@pytest.mark.parametrize(
    ("pattern", "head", "rest"),
    [
        ("/srv/files/*.txt", "/srv/files", "*.txt"),
        ("/srv/**/*.txt", "/srv", "**/*.txt"),
        ("/srv/{a,b}/x", "/srv", "{a,b}/x"),
        ("/srv/a.txt", "/srv", "a.txt"),
        ("/*", "", "*"),
        ("../*", "..", "*"),
        ("*.txt", "", "*.txt"),
    ],
)
def test_folders_at_the_head_of_a_pattern_are_told_apart(pattern: str, head: str, rest: str):
    """As far as they are spelled out."""
    assert split_prefix(pattern) == (head, rest)
