"""The tools as a model sees them: names, descriptions, schemas. Pure.

Invariants: a tool is offered only where it can be used: `Write` and `Edit` where something may be written, `Bash` where some
command may be run.
"""

from typing import Any

import msgspec

from shared.tool_jobs import MAX_LINES, MAX_PDF_PAGES, ToolsStatus
from shared.turn import Tool

type Schema = dict[str, Any]

DEFAULT_READ_LINES = 2000
DEFAULT_READ_PAGES = 10
READ_TOOLS = ("Read", "Glob", "Grep")
WRITE_TOOLS = ("Write", "Edit")
TOOL_NAMES = (*READ_TOOLS, "Bash", *WRITE_TOOLS)


def _string_schema(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _integer_schema(description: str, minimum: int = 0, maximum: int = MAX_LINES) -> Schema:
    return {"type": "integer", "description": description, "minimum": minimum, "maximum": maximum}


def _boolean_schema(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _object_schema(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


SYSTEM_PROMPT = """\
You work on files and folders of the machine of this server, by the tools that you have; each of your calls is checked. \
What you are not allowed to do is refused with the reason: go on with what is allowed, and say so in the end if it \
matters."""
FILE_PATH_DESCRIPTION = "The absolute path of the file."
SEARCH_PATH_DESCRIPTION = (
    "The absolute path of the folder or file to look in; without it, the first of the allowed paths."
)

DESCRIPTIONS = {
    "Read": f"""\
Reads a file. Text comes with line numbers as `cat -n` prints them, counted from 1, up to {DEFAULT_READ_LINES} lines unless \
`limit` says otherwise; of a longer file, read on with `offset`. Pictures (PNG, JPEG, GIF, WebP) are shown to you \
as pictures. Of a PDF you are shown the first {DEFAULT_READ_PAGES} pages as pictures, each with the words on it, or those that \
`pages` names, up to {MAX_PDF_PAGES}. Word, Excel, PowerPoint, OpenDocument, RTF and EPUB files come as Markdown, without \
their pictures. Reads files only; to see what is in a folder, use Glob or `ls`. A file that you will need as a \
whole is best read as a whole; several files are best read by several calls at once.""",
    "Glob": """\
Finds files by the pattern of their paths, such as `**/*.py` or `src/**/*.{ts,tsx}`, or one that begins with an allowed \
path: the newest first, without those that git ignores. A pattern without a slash is of names in any folder. For what is in files, use Grep.""",
    "Grep": """\
Searches in files with ripgrep, without those that git ignores. `pattern` is a regular expression in ripgrep's syntax \
(`log.*Error`, `fn\\s+\\w+`; write literal braces as `\\{\\}`). `output_mode` says what you get: "files_with_matches" (the \
default), "content" (the lines, with -A, -B, -C and -n) or "count". `glob` and `type` narrow the files. A pattern that is \
to match over several lines needs `multiline`. Use this rather than `grep` or `rg` in Bash.""",
    "Bash": """\
Runs shell text and gives back what it writes, both outputs in the order they came, and the exit status if it is not 0. \
Only the allowed commands run, also inside pipes and substitutions; there is no network, and nothing of one call (its \
folder, its variables) is left for the next, so use absolute paths. Each call ends after `timeout`, and long output is \
cut, which it then says. For reading and searching files, Read, Glob and Grep are better.""",
    "Write": """\
Writes a whole file, and replaces one that is there. To change a part of a file, use Edit. Only where writing is \
allowed.""",
    "Edit": """\
Replaces a piece of a file by another. `old_string` must be in the file exactly as given, white space included, and only \
once: if it is there more often, take in more of what is around it, or set `replace_all`. Leave out the line numbers that \
Read prints. Only where writing is allowed.""",
}

SCHEMAS: dict[str, Schema] = {
    "Read": _object_schema(
        ("file_path",),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        offset=_integer_schema("The line to begin with, counted from 1.", 1),
        limit=_integer_schema("How many lines to read.", 1),
        pages=_string_schema('Which pages of a PDF, such as "3" or "11-20".'),
    ),
    "Glob": _object_schema(
        ("pattern",),
        pattern=_string_schema("The pattern, such as `**/*.md`."),
        path=_string_schema(SEARCH_PATH_DESCRIPTION),
    ),
    "Grep": _object_schema(
        ("pattern",),
        pattern=_string_schema("The regular expression to search for."),
        path=_string_schema(SEARCH_PATH_DESCRIPTION),
        glob=_string_schema(
            "Only files that fit this pattern, such as `*.js` or `src/**/*.{ts,tsx}`; with a `!` before it, all but these."
        ),
        type=_string_schema("Only files of this type of ripgrep's, such as `py`, `js`, `rust`, `go`."),
        output_mode=_string_schema(
            "What to give back: the lines, the files, or how many lines match in each.",
            enum=["content", "files_with_matches", "count"],
        ),
        **{
            "-i": _boolean_schema("Upper and lower case are the same."),
            "-n": _boolean_schema("Show line numbers; with output_mode content only. On unless false."),
            "-A": _integer_schema("Lines to show after each match; with output_mode content only."),
            "-B": _integer_schema("Lines to show before each match; with output_mode content only."),
            "-C": _integer_schema("Lines to show before and after each match; with output_mode content only."),
        },
        multiline=_boolean_schema("Let `.` match line ends, and matches span lines."),
        head_limit=_integer_schema("Give back only so many lines or files, from the first.", 1),
    ),
    "Write": _object_schema(
        ("file_path", "content"),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        content=_string_schema("All that the file is to hold."),
    ),
    "Edit": _object_schema(
        ("file_path", "old_string", "new_string"),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        old_string=_string_schema("The piece to replace, exactly as it is in the file."),
        new_string=_string_schema("What to put in its place."),
        replace_all=_boolean_schema("Replace it everywhere; without this it must be there once."),
    ),
}


def build_bash_schema(max_seconds: float) -> Schema:
    """What `Bash` takes. longest: how many seconds a command may take."""
    most = round(max_seconds * 1000)
    return _object_schema(
        ("command",),
        command=_string_schema("The shell text to run."),
        timeout=_integer_schema(
            f"Milliseconds until it is ended, to {most}, which is also what it gets without this.", 1, most
        ),
        description=_string_schema("What it does, in 5 to 10 words."),
        cwd=_string_schema("The folder to run it in, absolute; without it, the first of the allowed paths."),
    )


def list_available_tools(status: ToolsStatus) -> tuple[str, ...]:
    """The names of the tools that can be used there."""
    without = (() if status.writable_paths else WRITE_TOOLS) + (() if status.allowed_commands else ("Bash",))
    return tuple(name for name in TOOL_NAMES if name not in without)


def is_read_only(name: str, status: ToolsStatus) -> bool:
    """Whether a call of this tool changes nothing there: a command can't, where nothing may be written."""
    return name in READ_TOOLS or (name == "Bash" and not status.writable_paths)


def build_tool(name: str, status: ToolsStatus) -> Tool:
    """A tool, to be offered."""
    schema = SCHEMAS[name] if name != "Bash" else build_bash_schema(status.command_timeout)
    return Tool(name, DESCRIPTIONS[name], msgspec.json.encode(schema).decode())


def build_system_prompt(status: ToolsStatus) -> str:
    """What the model is told of where it works."""
    return "\n".join([SYSTEM_PROMPT, *describe_limits(status)])


def describe_limits(status: ToolsStatus) -> list[str]:
    """What is allowed, a sentence each."""
    return [
        f"Paths that may be read: {', '.join(status.allowed_paths) or 'none'}.",
        f"Paths that may be written to: {', '.join(status.writable_paths) or 'none'}.",
        f"Commands that may be run: {', '.join(status.allowed_commands) or 'none'}.",
    ]
