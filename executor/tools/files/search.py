"""ripgrep: what it is told, and what it says. Pure.

Law: what a client wrote reaches it as the value of an option, after `--`, or by its input; never as an option of its own.
What git ignores is not shown, whatever pattern is asked for: a `--glob` would win over ignore files, so that the pattern is
told as an ignore file too, the last of them.
"""

import os
import re

from executor.tools.files import globs
from shared.tool_jobs import FilesFound, FindFiles, SearchFiles, SearchFound

MOST = 10_000
# The first byte of the output: what was searched.
OF_FOLDER, OF_FILE = b"d", b"f"
BASE = (
    *("rg", "--no-config", "--no-messages", "--no-require-git", "--no-ignore-global", "--null", "--hidden"),
    "--glob=!.git",
)
INPUT = "/proc/self/fd/0"
APART = "--"
# A line has its path before a NUL, and a path begins with a dot, since what is searched is here. Between groups of lines,
# and about files that turn out to be no text, there are lines of another form.
PRINTED = re.compile(
    r"--\n"
    r"|(?P<about>\./[^\0\n]*):(?P<said> [^\0\n]*\"\\0\" byte around offset \d+\))\n"
    r"|(?P<path>\./[^\0]*)\0(?P<text>[^\n]*)\n?"
)


def pattern(job: FindFiles | SearchFiles) -> str | None:
    """Of which files are searched; None: of all."""
    if isinstance(job, FindFiles):
        return job.pattern
    return None if not job.glob or job.glob.startswith("!") else job.glob


def arguments(job: FindFiles | SearchFiles, target: str) -> list[str]:
    """The command line."""
    options = [*BASE] if pattern(job) is None else [*BASE, f"--ignore-file={INPUT}"]
    if isinstance(job, FindFiles):
        return [*options, "--files", "--sortr=modified", target]
    shows = {"content": [], "files": ["--files-with-matches", "--sortr=modified"], "count": ["--count-matches"]}
    options += ["--color=never", "--no-heading", "--with-filename", *shows[job.show]]
    # All but these: what is ignored stays so.
    options += [f"--glob={job.glob}"] if job.glob and job.glob.startswith("!") else []
    options += [f"--type={job.file_type}"] if job.file_type else []
    options += ["--ignore-case"] if job.ignore_case else []
    options += ["--multiline", "--multiline-dotall"] if job.multiline else []
    if job.show == "content":
        options += ["--line-number" if job.line_numbers else "--no-line-number"]
        options += [f"--before-context={job.before}", f"--after-context={job.after}"]
    return [*options, f"--regexp={job.pattern}", "--", target]


def found(
    job: FindFiles | SearchFiles, output: bytes, folder: str, *, cut: bool, all_fit: bool = False
) -> FilesFound | SearchFound:
    """What it found. folder: what its paths are relative to. all_fit: the pattern is of no matter."""
    text = output.decode(errors="replace")
    asked = pattern(job)
    wanted = None if asked is None or all_fit else globs.globs(asked)

    def fits(path: str) -> bool:
        # What an ignore file takes back from another is let through.
        return wanted is None or any(each.fits(path.removeprefix("./")) for each in wanted)

    most = min(job.limit or MOST, MOST)
    if isinstance(job, FindFiles) or job.show == "files":
        paths = [_whole(path, folder) for path in text.split("\0") if path and fits(path)]
        shown, truncated = tuple(paths[:most]), cut or len(paths) > most
        return FilesFound(shown, truncated) if isinstance(job, FindFiles) else SearchFound(shown, truncated)
    lines: list[str] = []
    for printed in PRINTED.finditer(text):
        path = printed["path"] or printed["about"]
        if path is None:
            # The groups that it stood between may be left out.
            lines += [APART] if lines and lines[-1] != APART else []
        elif fits(path):
            said = printed["text"].removesuffix("\r") if printed["path"] else printed["said"]
            lines.append(f"{_whole(path, folder)}:{said}")
    if lines and lines[-1] == APART:
        lines.pop()
    return SearchFound(tuple(lines[:most]), cut or len(lines) > most)


def mistaken(job: FindFiles | SearchFiles, errors: bytes) -> str:
    """What is wrong, in the words of ripgrep or in ours. errors: what it wrote, of a search that found nothing."""
    said = errors.decode(errors="replace").strip().removeprefix("rg: ")[:500]
    if isinstance(job, SearchFiles) and job.file_type and "file type" in said:
        return f"there is no type of files `{job.file_type[:100]}` here; leave it out, and name the files by a glob"
    return f"pattern: {said}"


def folder(root: str, path: str, told: bytes) -> str:
    """What the paths it prints are relative to. told: whether the path is a folder's or a file's."""
    whole = os.path.normpath(f"{root}/{path}")
    return whole if told == OF_FOLDER else os.path.dirname(whole)  # noqa: PTH120


def _whole(path: str, folder: str) -> str:
    return os.path.normpath(f"{folder}/{path}")
