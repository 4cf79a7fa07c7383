"""The jobs of the tools role: what may be asked of files and commands, and what comes back. Values only.

Law: a job says what is wanted, never how; whether it is allowed is decided by the tools role alone, for every door alike.
Every job ends in exactly one `JobDone` or `Failed`; only `RunCommand` has `Output` before it.
"""

from typing import Literal

from msgspec import Struct

# How many pages of a PDF are drawn at once.
MAX_PDF_PAGES = 20
# The largest number of lines, and of a line, that a job may name.
MAX_LINES = 1_000_000_000
# The longest shell text, in bytes: the kernel takes no longer argument (execve(2), MAX_ARG_STRLEN).
MAX_COMMAND_BYTES = 128 * 1024 - 1


class ReadFile(Struct, frozen=True, tag="read_file"):
    """Read a file. offset: the first line, counted from 1; limit: how many lines; without either, all of it.

    pages: the first and the last page of a PDF, counted from 1, to have them drawn; without it, its bytes.
    as_text: an office document as Markdown, and a text in another encoding than UTF-8 decoded; without it, their bytes.
    """

    path: str
    offset: int | None = None
    limit: int | None = None
    pages: tuple[int, int] | None = None
    as_text: bool = False


class ConvertDocument(Struct, frozen=True, tag="convert_document"):
    """Convert an office document to Markdown. It needs no allowed path: data is all of the document."""

    data: bytes


class FindFiles(Struct, frozen=True, tag="find_files"):
    """Find files by a glob pattern such as `**/*.py`, newest first, without those that git ignores.

    pattern: one that begins with a folder from the root is of that folder. path: where to look; the first allowed path if None.
    """

    pattern: str
    path: str | None = None
    limit: int = 100


class SearchFiles(Struct, frozen=True, tag="search_files"):
    """Search in files with ripgrep. show: the lines that match, the files that do, or how often each does.

    glob: only files that fit this pattern, or none that does if it begins with `!`; file_type: ripgrep's `--type`. before, after: lines of context. limit: of lines that are given back.
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
    """Run shell text. cwd: an allowed folder; the first allowed path if None. timeout: seconds. stdin: its input.

    merged: both outputs come as `stdout`, in the order in which they were written.
    """

    command: str
    cwd: str | None = None
    timeout: float | None = None
    stdin: str | None = None
    merge_streams: bool = False


class WriteFile(Struct, frozen=True, tag="write_file"):
    """Write a whole file, where writing is allowed."""

    path: str
    content: str


class EditFile(Struct, frozen=True, tag="edit_file"):
    """Replace `old` by `new`; `old` must be there once, or `everywhere` is set."""

    path: str
    old: str
    new: str
    replace_all: bool = False


class ListFolder(Struct, frozen=True, tag="list_folder"):
    """What is in an allowed folder; the allowed paths themselves if path is None."""

    path: str | None = None


type ToolJob = ReadFile | ConvertDocument | FindFiles | SearchFiles | RunCommand | WriteFile | EditFile | ListFolder


class CommandOutput(Struct, frozen=True, tag="output"):
    """What a command wrote, as it came. stream: which of its two; data: bytes, cut anywhere."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class FileContent(Struct, frozen=True, tag="file_read"):
    """A file, or lines of it.

    path: the real one. size: of the whole file, in bytes. text: of a file in UTF-8; data: the bytes of any other.
    first_line: of `text`, counted from 1. lines: of the whole file; None if it has more than anyone counted.
    truncated: `text` is less than was asked for. note: what the text was made from, where it was not UTF-8.
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
    """An office document as Markdown. note: what it was made from, and what is left out."""

    markdown: str
    note: str


class PdfPage(Struct, frozen=True):
    """A page of a PDF. number: counted from 1. picture: a JPEG. text: the words on it, as far as the file has them."""

    number: int
    picture: bytes
    text: str


class PdfPages(Struct, frozen=True, tag="pages_read"):
    """Pages of a PDF. path: the real one. size: of the whole file, in bytes. count: how many pages it has."""

    path: str
    size: int
    pages: tuple[PdfPage, ...]
    count: int


class FileMatches(Struct, frozen=True, tag="files_found"):
    """Paths, newest first."""

    paths: tuple[str, ...]
    truncated: bool = False


class SearchMatches(Struct, frozen=True, tag="search_found"):
    """What ripgrep printed, a line each."""

    lines: tuple[str, ...]
    truncated: bool = False


class CommandResult(Struct, frozen=True, tag="command_ended"):
    """A command's end. returncode: its exit status, or minus the signal. truncated: it wrote more than was given back."""

    returncode: int
    timed_out: bool = False
    truncated: bool = False


class WriteResult(Struct, frozen=True, tag="file_written"):
    """A file that was written or edited. replaced: how many places an edit changed."""

    path: str
    size: int
    created: bool = False
    replaced: int = 0


class FolderEntry(Struct, frozen=True):
    """What a folder holds. size: in bytes, of a file."""

    path: str
    kind: Literal["file", "folder", "other"]
    size: int = 0


class FolderListing(Struct, frozen=True, tag="folder_listed"):
    """A folder's entries, in order of their names."""

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
    """A tools executor's state. problem: why it serves nothing, and what to do; missing: what this host's sandbox lacks.

    command_timeout: how many seconds a command may take.
    running and waiting are counts; max_concurrent and max_queue their limits.
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
