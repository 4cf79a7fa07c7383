"""Files found and searched by the real ripgrep in the sandbox: what git ignores stays out, whatever is asked for."""

import os
from collections.abc import AsyncGenerator

import pytest

from shared.errors import ErrorKind
from shared.tool_jobs import FileMatches, FindFiles, SearchFiles, SearchMatches
from tests.support.tools import JobOutput, ToolsProgram

IGNORED = {"node_modules/x/index.js", "debug.log", "src/deep/trace.log", "secret.txt"}
SHOWN = {
    *(".gitignore", ".github/work.yml", "a.txt", "kept.log", "!odd.txt", "two\nlines.txt"),
    *("src/a.py", "src/deep/b.py", "docs/c.py"),
}


@pytest.fixture(scope="module")
async def tools() -> AsyncGenerator[ToolsProgram]:
    """An executor with a folder in which git ignores some."""
    async with ToolsProgram({"ALLOWED_COMMANDS": "ls"}) as started:
        for number, name in enumerate(sorted(IGNORED | SHOWN)):
            place = started.root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(
                "node_modules/\n*.log\nsecret.txt\n!kept.log\n# needle\n" if name == ".gitignore" else "needle\n"
            )
            os.utime(place, (number, 1_000_000_000 + number))
        yield started


def names(tools: ToolsProgram, output: JobOutput) -> list[str]:
    """What was found, from the allowed folder."""
    match output.end:
        case FileMatches(paths) | SearchMatches(paths):
            return [path.removeprefix(f"{tools.root}/") for path in paths]
        case other:
            raise AssertionError(other)


PATTERNS = [
    ("**/*", SHOWN),
    ("*", SHOWN),
    ("*.log", {"kept.log"}),
    ("*.js", set[str]()),
    ("secret.txt", set[str]()),
    ("node_modules/**", set[str]()),
    ("*.py", {"src/a.py", "src/deep/b.py", "docs/c.py"}),
    ("src/**/*.py", {"src/a.py", "src/deep/b.py"}),
    ("{src,docs}/*.py", {"src/a.py", "docs/c.py"}),
    ("*.{yml,txt}", {".github/work.yml", "a.txt", "!odd.txt", "two\nlines.txt"}),
    ("{root}/*.txt", {"a.txt", "!odd.txt", "two\nlines.txt"}),
    ("{root}/**/*.py", {"src/a.py", "src/deep/b.py", "docs/c.py"}),
    ("{root}/src/*", {"src/a.py"}),
    ("src/../docs/*", {"docs/c.py"}),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
async def test_glob_shows_nothing_that_git_ignores(tools: ToolsProgram, pattern: str, expected: set[str]):
    """A pattern narrows what is shown, and never widens it; from the root it is the same as from the folder."""
    output = await tools.run_job(FindFiles(pattern.replace("{root}", str(tools.root))))
    assert set(names(tools, output)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"), [*PATTERNS, ("!*.py", SHOWN - {"src/a.py", "src/deep/b.py", "docs/c.py"})]
)
async def test_search_shows_nothing_that_git_ignores(tools: ToolsProgram, pattern: str, expected: set[str]):
    """In each of its forms, also beside a type of files."""
    glob = pattern.replace("{root}", str(tools.root))
    assert set(names(tools, await tools.run_job(SearchFiles("needle", glob=glob)))) == expected
    lines = names(
        tools, await tools.run_job(SearchFiles("needle", glob=glob, output_mode="content", line_numbers=False))
    )
    assert {line.rpartition(":")[0] for line in lines} == expected
    counts = names(tools, await tools.run_job(SearchFiles("needle", glob=glob, output_mode="count")))
    assert {line.rpartition(":")[0] for line in counts} == expected
    typed = names(tools, await tools.run_job(SearchFiles("needle", glob=glob, file_type="py")))
    assert set(typed) == {name for name in expected if name.endswith(".py")}


async def test_what_is_ignored_above_is_ignored_below(tools: ToolsProgram):
    """Where the search begins further down, within the allowed folder."""
    assert set(names(tools, await tools.run_job(FindFiles("*", path="src")))) == {"src/a.py", "src/deep/b.py"}


async def test_newest_comes_first(tools: ToolsProgram):
    """Of files that are found by their names and by what is in them."""
    expected = [name for name in sorted(IGNORED | SHOWN, reverse=True) if name in SHOWN]
    for job in (
        FindFiles("**/*"),
        FindFiles(f"{tools.root}/**/*"),
        SearchFiles("needle"),
        SearchFiles("needle", glob="*"),
    ):
        assert names(tools, await tools.run_job(job)) == expected
    first = (await tools.run_job(FindFiles("**/*", limit=2))).end
    assert isinstance(first, FileMatches)
    assert (len(first.paths), first.truncated) == (2, True)


@pytest.mark.parametrize("pattern", ["/etc/*", "/etc/**/*", "/*", "../*", "src/../../*", "../outside/*.txt"])
async def test_pattern_that_leads_out_is_refused_with_what_is_allowed(tools: ToolsProgram, pattern: str):
    """It does not look like a folder without files."""
    for job in (FindFiles(pattern), SearchFiles("x", glob=pattern)):
        refused = (await tools.run_job(job)).failure
        assert refused.kind == ErrorKind.NOT_ALLOWED
        assert str(tools.root) in refused.detail


async def test_pattern_and_path_that_do_not_meet_are_refused(tools: ToolsProgram):
    """Both say where to look."""
    refused = (await tools.run_job(FindFiles(f"{tools.root}/docs/*", path=str(tools.root / "src")))).failure
    assert refused.detail.startswith("pattern: ")
    within = await tools.run_job(FindFiles(f"{tools.root}/**/*.py", path=str(tools.root / "src")))
    assert set(names(tools, within)) == {"src/a.py", "src/deep/b.py"}


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (SearchFiles("needle", file_type="nope"), "type of files `nope`"),
        (SearchFiles("("), "pattern: regex"),
        (SearchFiles("x", glob="{a"), "glob: a { is not closed"),
        (FindFiles("[a"), "pattern: a [ is not closed"),
    ],
)
async def test_mistake_is_said_of_what_it_is_in(tools: ToolsProgram, job: FindFiles | SearchFiles, words: str):
    """And not of another argument."""
    refused = (await tools.run_job(job)).failure
    assert refused.kind == ErrorKind.BAD_JOB
    assert refused.detail.startswith(words) or words in refused.detail


async def test_line_is_what_ends_with_a_line_feed_and_a_path_is_whole(tools: ToolsProgram):
    """Other breaks belong to the line; a name may have a line feed."""
    odd = tools.root / "odd"
    odd.mkdir()
    (odd / "feed.txt").write_bytes("one\f pin \u2028two\r\nthree\x85 pin\n".encode())
    (odd / "a\nb.txt").write_text("before\npin\nafter\n")
    (odd / "data.bin").write_bytes(b"pin\n" + b"x\n" * 40_000 + b"\0\n")
    found = await tools.run_job(SearchFiles("pin", path="odd", output_mode="content", glob="*.txt"))
    assert set(names(tools, found)) == {
        "odd/feed.txt:1:one\f pin \u2028two",
        "odd/feed.txt:2:three\x85 pin",
        "odd/a\nb.txt:2:pin",
    }
    around = await tools.run_job(SearchFiles("pin", path="odd/a\nb.txt", output_mode="content", before=1, after=1))
    assert names(tools, around) == ["odd/a\nb.txt:1-before", "odd/a\nb.txt:2:pin", "odd/a\nb.txt:3-after"]
    binary = names(tools, await tools.run_job(SearchFiles("pin", path="odd", output_mode="content", glob="*.bin")))
    assert all(line.startswith("odd/data.bin:") for line in binary), binary
    for place in odd.iterdir():
        place.unlink()
    odd.rmdir()
