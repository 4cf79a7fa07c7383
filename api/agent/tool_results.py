"""Converts the outcomes of jobs to tool results for the model. Pure.

Invariants: a shortened result is marked; a rejection says what is allowed; a failure is an error, never an empty result.
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
    """Returns the result of a call. output: the output of its command, in order."""
    if isinstance(outcome, Failed | InvalidToolCall):
        text = outcome.text if isinstance(outcome, InvalidToolCall) else describe_failure(outcome, status)
        return ToolResult(call_id, (Text(text),), is_error=True)
    is_error = isinstance(outcome, CommandResult) and (outcome.returncode != 0 or outcome.timed_out)
    try:
        content = render_result(outcome, output)
    except Problem as problem:
        content, is_error = problem.message, True
    return ToolResult(call_id, (Text(content),) if isinstance(content, str) else content, is_error)


def render_result(outcome: JobResult, output: Sequence[CommandOutput]) -> str | tuple[Text | Image | Document, ...]:
    """Returns what a job resulted in. Raises Problem if the model can't read the type of a file."""
    match outcome:
        case FileContent(data=None):
            return "\n".join(filter(None, (number_lines(outcome), outcome.note and f"({outcome.note})")))
        case FileContent():
            # The model requested this image, so it needs no heading.
            return tuple(block for block in to_blocks(outcome, outcome.path) if not isinstance(block, Text))
        case PdfPages():
            return tuple(render_pages(outcome))
        case FileMatches(paths, truncated):
            return render_list(paths, "No files found", "files", cut=truncated)
        case SearchMatches(lines, truncated):
            return render_list(lines, "No matches found", "lines", cut=truncated)
        case CommandResult():
            return render_command(outcome, output)
        case WriteResult():
            return describe_written_file(outcome)
        case ConvertedDocument(markdown):
            return markdown
        case FolderListing(entries, truncated):
            lines = tuple(f"{entry.path}/" if entry.kind == "folder" else entry.path for entry in entries)
            return render_list(lines, "The folder is empty", "entries", cut=truncated)


def describe_failure(failed: Failed, status: ToolsStatus) -> str:
    """Returns the reason of a failure; for a rejection, also what is allowed."""
    lines = [f"{ERROR_INFO[failed.kind].message} {failed.detail}".rstrip()]
    if failed.kind in {ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND}:
        lines += describe_limits(status)
    return "\n".join(lines)


def number_lines(file: FileContent) -> str:
    """Returns a text with line numbers, as `cat -n` prints them."""
    text = file.text or ""
    if not text:
        return (
            "The file is empty."
            if not file.size
            else f"There is nothing at line {file.first_line}; the file has {file.lines or 0} lines."
        )
    # Only `\n` separates lines, as in other tools; `str.splitlines` knows more separators.
    lines = text.removesuffix("\n").split("\n")
    shown = [
        f"{number:6}\t{line}"
        if len(line) <= MAX_LINE_LENGTH
        else f"{number:6}\t{line[:MAX_LINE_LENGTH]}… (cut: the line has {len(line)} characters)"
        for number, line in enumerate(lines, file.first_line)
    ]
    last = file.first_line + len(lines) - 1
    # If the lines were not all counted, the file has more of them.
    if file.lines is None or last < file.lines:
        of = f" of {file.lines}" if file.lines is not None else ""
        shown.append(f"(Lines {file.first_line} to {last}{of}. Continue with offset {last + 1}.)")
    return "\n".join(shown)


def render_pages(file: PdfPages) -> Iterator[Text | Image]:
    """Yields the pages of a PDF, each as text and as an image."""
    for page in file.pages:
        yield Text(f"Page {page.number} of {file.count}:\n{truncate_middle(page.text.strip())}".strip())
        yield Image("image/jpeg", base64.b64encode(page.picture).decode())
    last = file.pages[-1].number
    if last < file.count:
        next_pages = f"{last + 1}-{min(last + DEFAULT_READ_PAGES, file.count)}"
        yield Text(f'(The file has {file.count} pages. Continue with pages "{next_pages}".)')


def render_list(lines: tuple[str, ...], empty: str, unit: str, *, cut: bool) -> str:
    """Returns the lines, or `empty` if there are none, with a note if there are more."""
    if not lines:
        return f"{empty}."
    more = [f"(Cut after {len(lines)} {unit}; there are more. Narrow the search.)"] if cut else []
    return "\n".join([*lines, *more])


def render_command(ended: CommandResult, output: Sequence[CommandOutput]) -> str:
    """Returns the output of a command, and how it ended if it failed."""
    text = b"".join(piece.data for piece in output).decode("utf-8", "replace").rstrip("\n")
    parts = [truncate_middle(text)] if text else []
    if ended.truncated:
        parts.append("(The output was cut: the command wrote more than is returned.)")
    if ended.timed_out:
        parts.append("The command was ended: its timeout expired.")
    elif ended.returncode < 0:
        parts.append(f"The command was ended by signal {-ended.returncode}.")
    elif ended.returncode:
        parts.append(f"Exit code {ended.returncode}")
    return "\n".join(parts) or "(No output.)"


def truncate_middle(text: str) -> str:
    """Returns a text, without its middle if it is longer than MAX_OUTPUT_LENGTH."""
    excess = len(text) - MAX_OUTPUT_LENGTH
    if excess <= 0:
        return text
    half = MAX_OUTPUT_LENGTH // 2
    return f"{text[:half]}\n(… {excess} characters are left out here …)\n{text[-half:]}"


def describe_written_file(file: WriteResult) -> str:
    """Returns what was written to a file."""
    if file.replaced:
        places = "one place" if file.replaced == 1 else f"{file.replaced} places"
        return f"{file.path} was changed in {places}; it has {file.size} bytes now."
    return f"{file.path} was {'created' if file.created else 'overwritten'}; it has {file.size} bytes."


def to_blocks(file: FileContent, title: str) -> tuple[Text | Image | Document, ...]:
    """Returns the blocks of a file, with a title. Raises Problem if the model can't read its type."""
    if file.data is None:
        if not file.text:
            return (Text(f"The file {title} is empty."),)
        return (Document("text/plain", file.text, title, file.note or None),)
    if file.data.startswith(media.PDF):
        return (Document("application/pdf", base64.b64encode(file.data).decode(), title),)
    if detect_image_type(file.data):
        return (Text(f"The image {title}:"), media.build_image(file.data, title))
    raise Problem(400, "invalid_file", f"`{title}` is {file.media_type}; send {media.FILE_FORMATS}.")
