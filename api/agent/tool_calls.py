"""Converts a model's tool calls to jobs. Pure.

Invariants: an invalid call becomes a message with the fix, for the model; values are never guessed.
"""

import re

import msgspec
from msgspec import Struct

from api.agent.tool_definitions import (
    CALL_TYPES,
    DEFAULT_READ_LINES,
    DEFAULT_READ_PAGES,
    OUTPUT_MODES,
    BashCall,
    Call,
    EditCall,
    GlobCall,
    GrepCall,
    ReadCall,
    WriteCall,
)
from api.conversation.fields import validation_problem
from shared.tool_jobs import (
    MAX_PDF_PAGES,
    EditFile,
    FindFiles,
    ReadFile,
    RunCommand,
    SearchFiles,
    ToolJob,
    WriteFile,
)

MAX_SUMMARY_LENGTH = 200
PAGES_PATTERN = re.compile(r"\s*(?P<first>\d{1,6})\s*(?:(?P<dash>-)\s*(?P<last>\d{1,6})?\s*)?")


class InvalidToolCall(Struct, frozen=True):
    """A rejected call. text: the reason and the fix, for the model."""

    text: str


def build_job(name: str, arguments: str, tool_names: tuple[str, ...], max_seconds: float) -> ToolJob | InvalidToolCall:
    """Returns the job of a call. max_seconds: the limit for commands; a longer timeout is reduced to it."""
    if name not in tool_names:
        return InvalidToolCall(f"Unknown tool `{name}`. The tools are: {', '.join(tool_names) or 'none'}.")
    try:
        # Not strict: models sometimes write numbers and booleans as strings.
        call = msgspec.json.decode(arguments or "{}", type=CALL_TYPES[name], strict=False)
    except msgspec.ValidationError as error:
        fault = validation_problem(error).message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = f"{error}."
    else:
        return check_call(call) or _to_job(call, max_seconds)
    return InvalidToolCall(f"The arguments of `{name}` can't be used: {fault} Fix them and call it again.")


def check_call(call: Call) -> InvalidToolCall | None:
    """Returns the fault in the values of a call that its type does not exclude; None if there is none."""
    match call:
        case ReadCall(pages=str(pages) | int(pages)) if not parse_pages(pages):
            return InvalidToolCall(
                f'`pages` must be like "3" or "11-20", counted from 1, at most {MAX_PDF_PAGES} of them; it is `{shorten(str(pages))}`.'
            )
        case GrepCall(output_mode=str(mode)) if mode not in OUTPUT_MODES:
            return InvalidToolCall(f"`output_mode` must be one of {', '.join(OUTPUT_MODES)}; it is `{shorten(mode)}`.")
        case BashCall(command) if not command.strip():
            return InvalidToolCall("`command` is empty.")
        case EditCall(old_string=""):
            return InvalidToolCall("`old_string` is empty; to write a complete file, use Write.")
        case EditCall() if call.old_string == call.new_string:
            return InvalidToolCall("`old_string` and `new_string` are the same, so nothing would change.")
        case _:
            return None


def parse_pages(text: str | int) -> tuple[int, int] | None:
    """Returns the first and the last page; None if the text is not a valid range."""
    match = PAGES_PATTERN.fullmatch(str(text))
    if not match:
        return None
    first, dash, last = int(match["first"]), match["dash"], match["last"]
    end = int(last) if last else first + DEFAULT_READ_PAGES - 1 if dash else first
    return (first, end) if 1 <= first <= end < first + MAX_PDF_PAGES else None


def _to_job(call: Call, max_seconds: float) -> ToolJob:
    match call:
        case ReadCall():
            # Set for every file: only the executor knows whether it is a PDF.
            pages = (1, DEFAULT_READ_PAGES) if call.pages is None else parse_pages(call.pages)
            return ReadFile(call.file_path, call.offset, call.limit or DEFAULT_READ_LINES, pages, as_text=True)
        case GlobCall():
            return FindFiles(call.pattern, call.path)
        case GrepCall():
            return _to_search_job(call)
        case BashCall():
            timeout = None if call.timeout is None else min(call.timeout / 1000, max_seconds)
            return RunCommand(call.command, call.cwd, timeout, merge_streams=True)
        case WriteCall():
            return WriteFile(call.file_path, call.content)
        case EditCall():
            return EditFile(call.file_path, call.old_string, call.new_string, bool(call.replace_all))


def _to_search_job(call: GrepCall) -> SearchFiles:
    around = call.around or 0
    return SearchFiles(
        pattern=call.pattern,
        path=call.path,
        glob=call.glob,
        file_type=call.type,
        output_mode=OUTPUT_MODES[call.output_mode or "files_with_matches"],
        ignore_case=bool(call.ignore_case),
        line_numbers=call.line_numbers is not False,
        multiline=bool(call.multiline),
        before=around if call.before is None else call.before,
        after=around if call.after is None else call.after,
        limit=call.head_limit,
    )


def summarize_arguments(arguments: str) -> str:
    """Returns the main arguments of a call in one line, for people."""
    try:
        fields = msgspec.json.decode(arguments or "{}", type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return shorten(arguments)
    values = [value for name, value in fields.items() if name in {"file_path", "pattern", "command", "path"}]
    return shorten(" in ".join(str(value) for value in values) or arguments)


def shorten(text: str) -> str:
    """Returns a text in one line, shortened to MAX_SUMMARY_LENGTH."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_SUMMARY_LENGTH else f"{line[: MAX_SUMMARY_LENGTH - 1]}…"
