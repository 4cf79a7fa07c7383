"""ripgrep: what it is told, and what it says. Pure.

Invariants: what a client wrote reaches it as the value of an option, after `--`, or by its input; never as an option of its own.
What git ignores is not shown, whatever pattern is asked for: a `--glob` would win over ignore files, so that the pattern is
told as an ignore file too, the last of them.
"""

import os
import re

from executor.tools.files import globs
from shared.tool_jobs import FileMatches, FindFiles, SearchFiles, SearchMatches

MAX_RESULTS = 10_000
# The first byte of the output: what was searched.
FOLDER_MARK, FILE_MARK = b"d", b"f"
BASE_COMMAND = (
    *("rg", "--no-config", "--no-messages", "--no-require-git", "--no-ignore-global", "--null", "--hidden"),
    "--glob=!.git",
)
STDIN_PATH = "/proc/self/fd/0"
GROUP_SEPARATOR = "--"
# A line has its path before a NUL, and a path begins with a dot, since what is searched is here. Between groups of lines,
# and about files that turn out to be no text, there are lines of another form.
OUTPUT_LINE = re.compile(
    r"--\n"
    r"|(?P<about>\./[^\0\n]*):(?P<said> [^\0\n]*\"\\0\" byte around offset \d+\))\n"
    r"|(?P<path>\./[^\0]*)\0(?P<text>[^\n]*)\n?"
)


def get_file_pattern(job: FindFiles | SearchFiles) -> str | None:
    """Of which files are searched; None: of all."""
    if isinstance(job, FindFiles):
        return job.pattern
    return None if not job.glob or job.glob.startswith("!") else job.glob


def build_arguments(job: FindFiles | SearchFiles, target: str) -> list[str]:
    """The command line."""
    options = [*BASE_COMMAND] if get_file_pattern(job) is None else [*BASE_COMMAND, f"--ignore-file={STDIN_PATH}"]
    if isinstance(job, FindFiles):
        return [*options, "--files", "--sortr=modified", target]
    shows = {"content": [], "files": ["--files-with-matches", "--sortr=modified"], "count": ["--count-matches"]}
    options += ["--color=never", "--no-heading", "--with-filename", *shows[job.output_mode]]
    # All but these: what is ignored stays so.
    options += [f"--glob={job.glob}"] if job.glob and job.glob.startswith("!") else []
    options += [f"--type={job.file_type}"] if job.file_type else []
    options += ["--ignore-case"] if job.ignore_case else []
    options += ["--multiline", "--multiline-dotall"] if job.multiline else []
    if job.output_mode == "content":
        options += ["--line-number" if job.line_numbers else "--no-line-number"]
        options += [f"--before-context={job.before}", f"--after-context={job.after}"]
    return [*options, f"--regexp={job.pattern}", "--", target]


def parse_output(
    job: FindFiles | SearchFiles, output: bytes, folder: str, *, was_cut: bool, match_all: bool = False
) -> FileMatches | SearchMatches:
    """What it found. folder: what its paths are relative to. all_fit: the pattern is of no matter."""
    text = output.decode(errors="replace")
    asked = get_file_pattern(job)
    wanted = None if asked is None or match_all else globs.parse_globs(asked)

    def matches_pattern(path: str) -> bool:
        # What an ignore file takes back from another is let through.
        return wanted is None or any(each.matches(path.removeprefix("./")) for each in wanted)

    most = min(job.limit or MAX_RESULTS, MAX_RESULTS)
    if isinstance(job, FindFiles) or job.output_mode == "files":
        paths = [_join_path(path, folder) for path in text.split("\0") if path and matches_pattern(path)]
        shown, truncated = tuple(paths[:most]), was_cut or len(paths) > most
        return FileMatches(shown, truncated) if isinstance(job, FindFiles) else SearchMatches(shown, truncated)
    lines: list[str] = []
    for printed in OUTPUT_LINE.finditer(text):
        path = printed["path"] or printed["about"]
        if path is None:
            # The groups that it stood between may be left out.
            lines += [GROUP_SEPARATOR] if lines and lines[-1] != GROUP_SEPARATOR else []
        elif matches_pattern(path):
            said = printed["text"].removesuffix("\r") if printed["path"] else printed["said"]
            lines.append(f"{_join_path(path, folder)}:{said}")
    if lines and lines[-1] == GROUP_SEPARATOR:
        lines.pop()
    return SearchMatches(tuple(lines[:most]), was_cut or len(lines) > most)


def build_error_message(job: FindFiles | SearchFiles, errors: bytes) -> str:
    """What is wrong, in the words of ripgrep or in ours. errors: what it wrote, of a search that found nothing."""
    said = errors.decode(errors="replace").strip().removeprefix("rg: ")[:500]
    if isinstance(job, SearchFiles) and job.file_type and "file type" in said:
        return f"there is no type of files `{job.file_type[:100]}` here; leave it out, and name the files by a glob"
    return f"pattern: {said}"


def find_base_folder(root: str, path: str, kind_mark: bytes) -> str:
    """What the paths it prints are relative to. told: whether the path is a folder's or a file's."""
    whole = os.path.normpath(f"{root}/{path}")
    return whole if kind_mark == FOLDER_MARK else os.path.dirname(whole)  # noqa: PTH120


def _join_path(path: str, folder: str) -> str:
    return os.path.normpath(f"{folder}/{path}")
