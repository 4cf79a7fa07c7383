"""ripgrep: what it is told, and what it says. Pure.

Law: what a client wrote reaches it as the value of an option, or after `--`; never as an option of its own.
"""

import os

from shared.jobs import FilesFound, FindFiles, SearchFiles, SearchFound

MOST = 10_000
# The first byte of the output: what was searched.
OF_FOLDER, OF_FILE = b"d", b"f"
BASE = ("rg", "--no-config", "--no-messages", "--no-require-git", "--no-ignore-parent", "--no-ignore-global", "--null")


def arguments(job: FindFiles | SearchFiles, target: str) -> list[str]:
    """The command line."""
    if isinstance(job, FindFiles):
        return [
            *BASE,
            "--files",
            "--hidden",
            "--glob=!.git",
            "--sortr=modified",
            f"--glob={_glob(job.pattern)}",
            target,
        ]
    shows = {"content": [], "files": ["--files-with-matches", "--sortr=modified"], "count": ["--count-matches"]}
    options = [*BASE, "--color=never", "--no-heading", "--with-filename", "--hidden", "--glob=!.git", *shows[job.show]]
    options += [f"--glob={job.glob}"] if job.glob else []
    options += [f"--type={job.file_type}"] if job.file_type else []
    options += ["--ignore-case"] if job.ignore_case else []
    options += ["--multiline", "--multiline-dotall"] if job.multiline else []
    if job.show == "content":
        options += ["--line-number" if job.line_numbers else "--no-line-number"]
        options += [f"--before-context={job.before}", f"--after-context={job.after}"]
    return [*options, f"--regexp={job.pattern}", "--", target]


def found(job: FindFiles | SearchFiles, output: bytes, folder: str, *, cut: bool) -> FilesFound | SearchFound:
    """What it found. folder: what its paths are relative to."""
    text = output.decode(errors="replace")
    if isinstance(job, FindFiles) or job.show == "files":
        paths = [_whole(path, folder) for path in text.split("\0") if path]
        most = min(job.limit or MOST, MOST)
        shown, truncated = tuple(paths[:most]), cut or len(paths) > most
        return FilesFound(shown, truncated) if isinstance(job, FindFiles) else SearchFound(shown, truncated)
    lines = [_line(line, folder) for line in text.splitlines()]
    most = min(job.limit or MOST, MOST)
    return SearchFound(tuple(lines[:most]), cut or len(lines) > most)


def folder(root: str, path: str, told: bytes) -> str:
    """What the paths it prints are relative to. told: whether the path is a folder's or a file's."""
    whole = os.path.normpath(f"{root}/{path}")
    return whole if told == OF_FOLDER else os.path.dirname(whole)  # noqa: PTH120


def _line(line: str, folder: str) -> str:
    path, null, rest = line.partition("\0")
    return f"{_whole(path, folder)}:{rest}" if null else line


def _whole(path: str, folder: str) -> str:
    return os.path.normpath(f"{folder}/{path}")


def _glob(pattern: str) -> str:
    # A leading ! would mean all but these.
    return "[!]" + pattern[1:] if pattern.startswith("!") else pattern
