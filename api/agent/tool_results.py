"""What came of a job, as the model is told it. Pure.

Law: what is cut says so; what is refused says what is allowed; what failed is an error, and never an empty answer.
"""

import base64
from collections.abc import Iterator, Sequence

from api.agent.tool_calls import Mistake
from api.agent.tool_definitions import READ_PAGES, limits
from api.core.problems import Problem
from api.media import blocks as media
from shared.errors import MEANINGS, ErrorKind
from shared.events import Failed
from shared.tool_jobs import (
    CommandEnded,
    DocumentConverted,
    FileRead,
    FilesFound,
    FileWritten,
    FolderListed,
    JobResult,
    Output,
    PagesRead,
    SearchFound,
    ToolsStatus,
)
from shared.turn import Document, Image, Text, ToolResult

LONGEST_LINE = 2000
MOST_OUTPUT = 30_000


def tool_result(
    call_id: str, came: JobResult | Failed | Mistake, output: Sequence[Output], status: ToolsStatus
) -> ToolResult:
    """The result of a call. output: what its command wrote, in order."""
    match came:
        case Mistake(text):
            return _error(call_id, text)
        case Failed():
            return _error(call_id, refusal(came, status))
        case FileRead() | PagesRead():
            return _file(call_id, came)
        case FilesFound(paths, truncated):
            return _said(call_id, listed(paths, "No files found", "files", cut=truncated))
        case SearchFound(lines, truncated):
            return _said(call_id, listed(lines, "No matches found", "lines", cut=truncated))
        case CommandEnded():
            return ToolResult(call_id, (Text(command(came, output)),), is_error=came.returncode != 0 or came.timed_out)
        case FileWritten():
            return _said(call_id, written(came))
        case DocumentConverted(markdown):
            return _said(call_id, markdown)
        case FolderListed(entries, truncated):
            lines = tuple(f"{entry.path}/" if entry.kind == "folder" else entry.path for entry in entries)
            return _said(call_id, listed(lines, "The folder is empty", "entries", cut=truncated))


def refusal(failed: Failed, status: ToolsStatus) -> str:
    """Why it was not done, and what is allowed."""
    lines = [f"{MEANINGS[failed.kind].sentence} {failed.detail}".rstrip()]
    if failed.kind in {ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND}:
        lines += limits(status)
    return "\n".join(lines)


def numbered(file: FileRead) -> str:
    """A text with the numbers of its lines, as `cat -n` prints them."""
    text = file.text or ""
    if not text:
        return (
            "The file is empty."
            if not file.size
            else f"There is nothing at line {file.first_line}; the file has {file.lines or 0} lines."
        )
    # Only what ends a line for everyone: other breaks are part of it.
    lines = text.removesuffix("\n").split("\n")
    shown = [
        f"{number:6}\t{line}"
        if len(line) <= LONGEST_LINE
        else f"{number:6}\t{line[:LONGEST_LINE]}… (cut: the line has {len(line)} characters)"
        for number, line in enumerate(lines, file.first_line)
    ]
    last = file.first_line + len(lines) - 1
    # A file whose lines were not counted to the end has more of them.
    if file.lines is None or last < file.lines:
        of = f" of {file.lines}" if file.lines is not None else ""
        shown.append(f"(Lines {file.first_line} to {last}{of}. Read on with offset {last + 1}.)")
    return "\n".join(shown)


def pages(file: PagesRead) -> Iterator[Text | Image]:
    """Pages of a PDF, each as its words and how it looks."""
    for page in file.pages:
        yield Text(f"Page {page.number} of {file.count}:\n{middle_cut(page.text.strip())}".strip())
        yield Image("image/jpeg", base64.b64encode(page.picture).decode())
    last = file.pages[-1].number
    if last < file.count:
        further = f"{last + 1}-{min(last + READ_PAGES, file.count)}"
        yield Text(f'(The file has {file.count} pages. Read on with pages "{further}".)')


def listed(lines: tuple[str, ...], nothing: str, what: str, *, cut: bool) -> str:
    """Lines; a sentence in place of none, and one more when they are not all."""
    if not lines:
        return f"{nothing}."
    more = [f"(Cut after {len(lines)} {what}; there are more. Narrow the search.)"] if cut else []
    return "\n".join([*lines, *more])


def command(ended: CommandEnded, output: Sequence[Output]) -> str:
    """What a command wrote, in order, and how it ended when that is not as it should be."""
    text = b"".join(piece.data for piece in output).decode("utf-8", "replace").rstrip("\n")
    parts = [middle_cut(text)] if text else []
    if ended.truncated:
        parts.append("(The output was cut: it wrote more than is given back.)")
    if ended.timed_out:
        parts.append("The command was ended: its time was up.")
    elif ended.returncode < 0:
        parts.append(f"The command was ended by signal {-ended.returncode}.")
    elif ended.returncode:
        parts.append(f"Exit code {ended.returncode}")
    return "\n".join(parts) or "(No output.)"


def middle_cut(text: str) -> str:
    """A text without its middle, if it is long."""
    left = len(text) - MOST_OUTPUT
    if left <= 0:
        return text
    half = MOST_OUTPUT // 2
    return f"{text[:half]}\n(… {left} characters are left out here …)\n{text[-half:]}"


def written(file: FileWritten) -> str:
    """What became of a file."""
    if file.replaced:
        places = "one place" if file.replaced == 1 else f"{file.replaced} places"
        return f"{file.path} was changed in {places}; it has {file.size} bytes now."
    return f"{file.path} was {'made' if file.created else 'written anew'}; it has {file.size} bytes."


def blocks(file: FileRead, title: str) -> tuple[Text | Image | Document, ...]:
    """A file as what the model can see, under a name. Raises Problem when it is nothing of the kind."""
    if file.data is None:
        if not file.text:
            return (Text(f"The file {title} is empty."),)
        return (Document("text/plain", file.text, title, file.note or None),)
    if file.data.startswith(media.PDF):
        return (Document("application/pdf", base64.b64encode(file.data).decode(), title),)
    if media.picture_type(file.data):
        return (Text(f"The picture {title}:"), media.image(file.data, title))
    raise Problem(
        400,
        "invalid_file",
        f"`{title}` is {file.media_type}; {media.FILES} work.",
    )


def _file(call_id: str, file: FileRead | PagesRead) -> ToolResult:
    if isinstance(file, PagesRead):
        return ToolResult(call_id, tuple(pages(file)))
    if file.data is None:
        return _said(call_id, "\n".join(filter(None, (numbered(file), file.note and f"({file.note})"))))
    try:
        found = blocks(file, file.path)
    except Problem as problem:
        return _error(call_id, problem.message)
    # A picture that was asked for needs no heading.
    return ToolResult(call_id, tuple(block for block in found if not isinstance(block, Text)))


def _said(call_id: str, text: str) -> ToolResult:
    return ToolResult(call_id, (Text(text),))


def _error(call_id: str, text: str) -> ToolResult:
    return ToolResult(call_id, (Text(text),), is_error=True)
