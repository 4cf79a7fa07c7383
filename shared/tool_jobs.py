"""The jobs of the tools role, on files and commands, and their results. Values only.

Invariants: a job says what to do, never how. Only the tools role decides whether a job is allowed, in the same way for all
dialects. Every job ends with exactly one `JobDone` or `Failed`; only `RunCommand` sends `CommandOutput` before that.
"""

from typing import Literal

from msgspec import Struct

# The pages of a PDF that one job may render.
MAX_PDF_PAGES = 20
# The largest line number, and number of lines, in a job.
MAX_LINES = 1_000_000_000
# The longest shell text, in bytes: the kernel's limit for an argument (execve(2), MAX_ARG_STRLEN).
MAX_COMMAND_BYTES = 128 * 1024 - 1


class ReadFile(Struct, frozen=True, tag="read_file"):
    """Reads a file. offset: the first line, counted from 1. limit: the number of lines. Default: all lines.

    pages: the first and the last page of a PDF, counted from 1, to render them; without it, the result has the PDF's bytes.
    as_text: converts an office document to Markdown, and decodes text in other encodings than UTF-8; without it, the result
    has their bytes.
    """

    path: str
    offset: int | None = None
    limit: int | None = None
    pages: tuple[int, int] | None = None
    as_text: bool = False


class ConvertDocument(Struct, frozen=True, tag="convert_document"):
    """Converts an office document to Markdown. It needs no allowed path: data is the complete document."""

    data: bytes


class FindFiles(Struct, frozen=True, tag="find_files"):
    """Finds files by a glob pattern such as `**/*.py`, newest first, without files that git ignores.

    pattern: an absolute pattern is searched in its own folder. path: the folder to search; default: the first allowed path.
    """

    pattern: str
    path: str | None = None
    limit: int = 100


class SearchFiles(Struct, frozen=True, tag="search_files"):
    """Searches in files with ripgrep. output_mode: the matching lines, the files with matches, or the matches per file.

    glob: only files that match this pattern; with a leading `!`, only files that do not. file_type: ripgrep's `--type`.
    before, after: lines of context. limit: the number of lines in the result.
    """

    pattern: str
    path: str | None = None
    glob: str | None = None
    file_type: str | None = None
    output_mode: Literal["content", "files", "count"] = "files"
    ignore_case: bool = False
    line_numbers: bool = True
    multiline: bool = False
    before: int = 0
    after: int = 0
    limit: int | None = None


class RunCommand(Struct, frozen=True, tag="run_command"):
    """Runs shell text. cwd: an allowed folder; default: the first allowed path. timeout: seconds. stdin: its input.

    merge_streams: both outputs arrive as `stdout`, in the order in which they were written.
    """

    command: str
    cwd: str | None = None
    timeout: float | None = None
    stdin: str | None = None
    merge_streams: bool = False


class WriteFile(Struct, frozen=True, tag="write_file"):
    """Writes a complete file, where writing is allowed."""

    path: str
    content: str


class EditFile(Struct, frozen=True, tag="edit_file"):
    """Replaces `old` by `new`. `old` must occur exactly once, unless `replace_all` is set."""

    path: str
    old: str
    new: str
    replace_all: bool = False


class ListFolder(Struct, frozen=True, tag="list_folder"):
    """Lists an allowed folder; the allowed paths if path is None."""

    path: str | None = None


type ToolJob = ReadFile | ConvertDocument | FindFiles | SearchFiles | RunCommand | WriteFile | EditFile | ListFolder


class CommandOutput(Struct, frozen=True, tag="output"):
    """A part of a command's output. data: bytes, split at any position."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class FileContent(Struct, frozen=True, tag="file_read"):
    """A file, or lines of it.

    path: the real path. size: of the complete file, in bytes. text: the text of a UTF-8 file; data: the bytes of any other.
    first_line: the first line of `text`, counted from 1. lines: of the complete file; None if they were not counted to the
    end. truncated: `text` is less than requested. note: the source of the text, where it was not UTF-8.
    """

    path: str
    size: int
    media_type: str
    text: str | None = None
    data: bytes | None = None
    first_line: int = 1
    lines: int | None = None
    truncated: bool = False
    note: str = ""


class ConvertedDocument(Struct, frozen=True, tag="document_converted"):
    """An office document as Markdown. note: the format of the document, and what the Markdown leaves out."""

    markdown: str
    note: str


class PdfPage(Struct, frozen=True):
    """A page of a PDF. number: counted from 1. picture: a JPEG. text: the text that the file has for the page."""

    number: int
    picture: bytes
    text: str


class PdfPages(Struct, frozen=True, tag="pages_read"):
    """Pages of a PDF. path: the real path. size: of the complete file, in bytes. count: the number of its pages."""

    path: str
    size: int
    pages: tuple[PdfPage, ...]
    count: int


class FileMatches(Struct, frozen=True, tag="files_found"):
    """Paths, newest first."""

    paths: tuple[str, ...]
    truncated: bool = False


class SearchMatches(Struct, frozen=True, tag="search_found"):
    """The lines that ripgrep printed."""

    lines: tuple[str, ...]
    truncated: bool = False


class CommandResult(Struct, frozen=True, tag="command_ended"):
    """The end of a command. returncode: its exit status, or minus the signal. truncated: it wrote more than was sent."""

    returncode: int
    timed_out: bool = False
    truncated: bool = False


class WriteResult(Struct, frozen=True, tag="file_written"):
    """A file that was written or edited. replaced: the number of replacements."""

    path: str
    size: int
    created: bool = False
    replaced: int = 0


class FolderEntry(Struct, frozen=True):
    """An entry of a folder. size: of a file, in bytes."""

    path: str
    kind: Literal["file", "folder", "other"]
    size: int = 0


class FolderListing(Struct, frozen=True, tag="folder_listed"):
    """The entries of a folder, sorted by name."""

    entries: tuple[FolderEntry, ...]
    truncated: bool = False


type JobResult = (
    FileContent
    | ConvertedDocument
    | PdfPages
    | FileMatches
    | SearchMatches
    | CommandResult
    | WriteResult
    | FolderListing
)


class JobDone(Struct, frozen=True, tag="job_done"):
    """The job's result."""

    result: JobResult


class ToolsStatus(Struct, frozen=True, tag="tools_status"):
    """The status of a tools executor. problem: why it serves no jobs, and the fix. missing: what the sandbox lacks here.

    command_timeout: the seconds that a command may take. running and waiting are counts; max_concurrent and max_queue are
    their limits.
    """

    allowed_paths: tuple[str, ...]
    writable_paths: tuple[str, ...]
    allowed_commands: tuple[str, ...]
    max_concurrent: int
    running: int
    waiting: int
    draining: bool
    problem: str = ""
    missing: tuple[str, ...] = ()
    jobs_done: int = 0
    refusals: dict[str, int] = {}
    command_timeout: float = 120
    max_queue: int = 0
