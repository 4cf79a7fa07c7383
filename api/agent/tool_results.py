"""What came of a job, as the model is told it. Pure.

Invariants: what is cut says so; what is refused says what is allowed; what failed is an error, and never an empty answer.
"""

import base64
from collections.abc import Iterator, Sequence

from api.agent.tool_calls import InvalidToolCall
from api.agent.tool_definitions import DEFAULT_READ_PAGES, describe_limits
from api.core.problems import Problem
from api.media import blocks as media
from api.media.image_headers import detect_image_type
from shared.errors import ERROR_INFO, ErrorKind
from shared.events import Failed
from shared.tool_jobs import (
    CommandOutput,
    CommandResult,
    ConvertedDocument,
    FileContent,
    FileMatches,
    FolderListing,
    JobResult,
    PdfPages,
    SearchMatches,
    ToolsStatus,
    WriteResult,
)
from shared.turn import Document, Image, Text, ToolResult

MAX_LINE_LENGTH = 2000
MAX_OUTPUT_LENGTH = 30_000


def build_tool_result(
    call_id: str, outcome: JobResult | Failed | InvalidToolCall, output: Sequence[CommandOutput], status: ToolsStatus
) -> ToolResult:
    """The result of a call. output: what its command wrote, in order."""
    match outcome:
        case InvalidToolCall(text):
            return _to_error_result(call_id, text)
        case Failed():
            return _to_error_result(call_id, describe_failure(outcome, status))
        case FileContent() | PdfPages():
            return _to_file_result(call_id, outcome)
        case FileMatches(paths, truncated):
            return _to_text_result(call_id, render_list(paths, "No files found", "files", cut=truncated))
        case SearchMatches(lines, truncated):
            return _to_text_result(call_id, render_list(lines, "No matches found", "lines", cut=truncated))
        case CommandResult():
            return ToolResult(
                call_id, (Text(render_command(outcome, output)),), is_error=outcome.returncode != 0 or outcome.timed_out
            )
        case WriteResult():
            return _to_text_result(call_id, describe_written_file(outcome))
        case ConvertedDocument(markdown):
            return _to_text_result(call_id, markdown)
        case FolderListing(entries, truncated):
            lines = tuple(f"{entry.path}/" if entry.kind == "folder" else entry.path for entry in entries)
            return _to_text_result(call_id, render_list(lines, "The folder is empty", "entries", cut=truncated))


def describe_failure(failed: Failed, status: ToolsStatus) -> str:
    """Why it was not done, and what is allowed."""
    lines = [f"{ERROR_INFO[failed.kind].message} {failed.detail}".rstrip()]
    if failed.kind in {ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND}:
        lines += describe_limits(status)
    return "\n".join(lines)


def number_lines(file: FileContent) -> str:
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
        if len(line) <= MAX_LINE_LENGTH
        else f"{number:6}\t{line[:MAX_LINE_LENGTH]}… (cut: the line has {len(line)} characters)"
        for number, line in enumerate(lines, file.first_line)
    ]
    last = file.first_line + len(lines) - 1
    # A file whose lines were not counted to the end has more of them.
    if file.lines is None or last < file.lines:
        of = f" of {file.lines}" if file.lines is not None else ""
        shown.append(f"(Lines {file.first_line} to {last}{of}. Read on with offset {last + 1}.)")
    return "\n".join(shown)


def render_pages(file: PdfPages) -> Iterator[Text | Image]:
    """Pages of a PDF, each as its words and how it looks."""
    for page in file.pages:
        yield Text(f"Page {page.number} of {file.count}:\n{truncate_middle(page.text.strip())}".strip())
        yield Image("image/jpeg", base64.b64encode(page.picture).decode())
    last = file.pages[-1].number
    if last < file.count:
        further = f"{last + 1}-{min(last + DEFAULT_READ_PAGES, file.count)}"
        yield Text(f'(The file has {file.count} pages. Read on with pages "{further}".)')


def render_list(lines: tuple[str, ...], nothing: str, what: str, *, cut: bool) -> str:
    """Lines; a sentence in place of none, and one more when they are not all."""
    if not lines:
        return f"{nothing}."
    more = [f"(Cut after {len(lines)} {what}; there are more. Narrow the search.)"] if cut else []
    return "\n".join([*lines, *more])


def render_command(ended: CommandResult, output: Sequence[CommandOutput]) -> str:
    """What a command wrote, in order, and how it ended when that is not as it should be."""
    text = b"".join(piece.data for piece in output).decode("utf-8", "replace").rstrip("\n")
    parts = [truncate_middle(text)] if text else []
    if ended.truncated:
        parts.append("(The output was cut: it wrote more than is given back.)")
    if ended.timed_out:
        parts.append("The command was ended: its time was up.")
    elif ended.returncode < 0:
        parts.append(f"The command was ended by signal {-ended.returncode}.")
    elif ended.returncode:
        parts.append(f"Exit code {ended.returncode}")
    return "\n".join(parts) or "(No output.)"


def truncate_middle(text: str) -> str:
    """A text without its middle, if it is long."""
    left = len(text) - MAX_OUTPUT_LENGTH
    if left <= 0:
        return text
    half = MAX_OUTPUT_LENGTH // 2
    return f"{text[:half]}\n(… {left} characters are left out here …)\n{text[-half:]}"


def describe_written_file(file: WriteResult) -> str:
    """What became of a file."""
    if file.replaced:
        places = "one place" if file.replaced == 1 else f"{file.replaced} places"
        return f"{file.path} was changed in {places}; it has {file.size} bytes now."
    return f"{file.path} was {'made' if file.created else 'written anew'}; it has {file.size} bytes."


def to_blocks(file: FileContent, title: str) -> tuple[Text | Image | Document, ...]:
    """A file as what the model can see, under a name. Raises Problem when it is nothing of the kind."""
    if file.data is None:
        if not file.text:
            return (Text(f"The file {title} is empty."),)
        return (Document("text/plain", file.text, title, file.note or None),)
    if file.data.startswith(media.PDF):
        return (Document("application/pdf", base64.b64encode(file.data).decode(), title),)
    if detect_image_type(file.data):
        return (Text(f"The picture {title}:"), media.build_image(file.data, title))
    raise Problem(
        400,
        "invalid_file",
        f"`{title}` is {file.media_type}; {media.FILE_FORMATS} work.",
    )


def _to_file_result(call_id: str, file: FileContent | PdfPages) -> ToolResult:
    if isinstance(file, PdfPages):
        return ToolResult(call_id, tuple(render_pages(file)))
    if file.data is None:
        return _to_text_result(call_id, "\n".join(filter(None, (number_lines(file), file.note and f"({file.note})"))))
    try:
        found = to_blocks(file, file.path)
    except Problem as problem:
        return _to_error_result(call_id, problem.message)
    # A picture that was asked for needs no heading.
    return ToolResult(call_id, tuple(block for block in found if not isinstance(block, Text)))


def _to_text_result(call_id: str, text: str) -> ToolResult:
    return ToolResult(call_id, (Text(text),))


def _to_error_result(call_id: str, text: str) -> ToolResult:
    return ToolResult(call_id, (Text(text),), is_error=True)
