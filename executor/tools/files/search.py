"""Builds ripgrep's command line and parses its output. Pure.

Invariants: a client's text reaches ripgrep as the value of an option, after `--`, or by its input; never as an option.
Files that git ignores are not shown, whatever the pattern: a `--glob` would override ignore files, so the pattern is passed
as an ignore file too, the last of them.
"""

import os
import re

from executor.tools.files import globs
from shared.tool_jobs import FileMatches, FindFiles, SearchFiles, SearchMatches

MAX_RESULTS = 10_000
# The first byte of the output: whether a folder or a file was searched.
FOLDER_MARK, FILE_MARK = b"d", b"f"
BASE_COMMAND = (
    *("rg", "--no-config", "--no-messages", "--no-require-git", "--no-ignore-global", "--null", "--hidden"),
    "--glob=!.git",
)
STDIN_PATH = "/proc/self/fd/0"
GROUP_SEPARATOR = "--"
# A line has its path before a NUL, and a path begins with a dot, since the search runs in the current folder. Separators of
# groups, and notes on files that are not text, have other forms.
OUTPUT_LINE = re.compile(
    r"--\n"
    r"|(?P<about>\./[^\0\n]*):(?P<note> [^\0\n]*\"\\0\" byte around offset \d+\))\n"
    r"|(?P<path>\./[^\0]*)\0(?P<text>[^\n]*)\n?"
)


def get_file_pattern(job: FindFiles | SearchFiles) -> str | None:
    """Returns the pattern of the files that are searched; None for all files."""
    if isinstance(job, FindFiles):
        return job.pattern
    return None if not job.glob or job.glob.startswith("!") else job.glob


def build_arguments(job: FindFiles | SearchFiles, target: str) -> list[str]:
    """Builds the command line."""
    options = [*BASE_COMMAND] if get_file_pattern(job) is None else [*BASE_COMMAND, f"--ignore-file={STDIN_PATH}"]
    if isinstance(job, FindFiles):
        return [*options, "--files", "--sortr=modified", target]
    shows = {"content": [], "files": ["--files-with-matches", "--sortr=modified"], "count": ["--count-matches"]}
    options += ["--color=never", "--no-heading", "--with-filename", *shows[job.output_mode]]
    # A negated glob: it does not show ignored files.
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
    """Parses what ripgrep found. folder: the base of its relative paths. match_all: the file pattern does not matter."""
    text = output.decode(errors="replace")
    pattern = get_file_pattern(job)
    file_globs = None if pattern is None or match_all else globs.parse_globs(pattern)

    def matches_pattern(path: str) -> bool:
        # ripgrep also shows files that another ignore file includes again.
        return file_globs is None or any(glob.matches(path.removeprefix("./")) for glob in file_globs)

    max_results = min(job.limit or MAX_RESULTS, MAX_RESULTS)
    if isinstance(job, FindFiles) or job.output_mode == "files":
        paths = [_join_path(path, folder) for path in text.split("\0") if path and matches_pattern(path)]
        shown, truncated = tuple(paths[:max_results]), was_cut or len(paths) > max_results
        return FileMatches(shown, truncated) if isinstance(job, FindFiles) else SearchMatches(shown, truncated)
    lines: list[str] = []
    for printed in OUTPUT_LINE.finditer(text):
        path = printed["path"] or printed["about"]
        if path is None:
            # A separator: the groups around it may be omitted.
            lines += [GROUP_SEPARATOR] if lines and lines[-1] != GROUP_SEPARATOR else []
        elif matches_pattern(path):
            line = printed["text"].removesuffix("\r") if printed["path"] else printed["note"]
            lines.append(f"{_join_path(path, folder)}:{line}")
    if lines and lines[-1] == GROUP_SEPARATOR:
        lines.pop()
    return SearchMatches(tuple(lines[:max_results]), was_cut or len(lines) > max_results)


def build_error_message(job: FindFiles | SearchFiles, errors: bytes) -> str:
    """Builds the refusal from ripgrep's errors, for a search that found nothing."""
    message = errors.decode(errors="replace").strip().removeprefix("rg: ")[:500]
    if isinstance(job, SearchFiles) and job.file_type and "file type" in message:
        return f"there is no type of files `{job.file_type[:100]}` here; leave it out, and name the files by a glob"
    return f"pattern: {message}"


def find_base_folder(root: str, path: str, kind_mark: bytes) -> str:
    """Returns the base of the relative paths in the output. kind_mark: FOLDER_MARK or FILE_MARK."""
    target = os.path.normpath(f"{root}/{path}")
    return target if kind_mark == FOLDER_MARK else os.path.dirname(target)  # noqa: PTH120


def _join_path(path: str, folder: str) -> str:
    return os.path.normpath(f"{folder}/{path}")
