"""The tools as a model sees them: names, descriptions, schemas. Pure.

Invariants: a tool is offered only if it can be used: `Write` and `Edit` if a path is writable, `Bash` if a command is
allowed.
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
You work on files and folders of this server's machine with the tools you have; each of your calls is checked. \
A call that is not allowed is rejected with the reason: continue with what is allowed, and mention it at the end if it \
matters."""
FILE_PATH_DESCRIPTION = "The absolute path of the file."
SEARCH_PATH_DESCRIPTION = (
    "The absolute path of the folder or file to search; by default the first of the allowed paths."
)

DESCRIPTIONS = {
    "Read": f"""\
Reads a file. Text comes with line numbers as `cat -n` prints them, counted from 1, up to {DEFAULT_READ_LINES} lines unless \
`limit` says otherwise; in a longer file, continue with `offset`. Images (PNG, JPEG, GIF, WebP) are shown to you \
as images. A PDF is shown as images of its first {DEFAULT_READ_PAGES} pages, each with its text, or of the pages in \
`pages`, up to {MAX_PDF_PAGES}. Word, Excel, PowerPoint, OpenDocument, RTF and EPUB files come as Markdown, without \
their images. Reads files only; to list a folder, use Glob or `ls`. If you need a complete file, read it in one call; \
read several files with parallel calls.""",
    "Glob": """\
Finds files by the pattern of their paths, such as `**/*.py` or `src/**/*.{ts,tsx}`, or one that starts with an allowed \
path: the newest first, without files that git ignores. A pattern without a slash matches names in any folder. To \
search in files, use Grep.""",
    "Grep": """\
Searches in files with ripgrep, without files that git ignores. `pattern` is a regular expression in ripgrep's syntax \
(`log.*Error`, `fn\\s+\\w+`; write literal braces as `\\{\\}`). `output_mode` selects the output: "files_with_matches" (the \
default), "content" (the lines, with -A, -B, -C and -n) or "count". `glob` and `type` narrow the files. A pattern that \
matches across lines needs `multiline`. Use this rather than `grep` or `rg` in Bash.""",
    "Bash": """\
Runs a shell command and returns its stdout and stderr in the order of writing, and the exit status if it is not 0. \
Only the allowed commands run, also inside pipes and substitutions. There is no network. The working folder and \
variables do not persist between calls, so use absolute paths. Each call ends after `timeout`. Long output is cut, with a \
note. To read and search files, use Read, Glob and Grep instead.""",
    "Write": """\
Writes a complete file, and replaces an existing one. To change a part of a file, use Edit. Only where writing is \
allowed.""",
    "Edit": """\
Replaces text in a file. `old_string` must occur in the file exactly as given, white space included, and only once: if it \
occurs more often, include more of the surrounding text, or set `replace_all`. Leave out the line numbers that Read \
prints. Only where writing is allowed.""",
}

SCHEMAS: dict[str, Schema] = {
    "Read": _object_schema(
        ("file_path",),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        offset=_integer_schema("The first line, counted from 1.", 1),
        limit=_integer_schema("The number of lines to read.", 1),
        pages=_string_schema('The pages of a PDF, such as "3" or "11-20".'),
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
            "Only files that match this pattern, such as `*.js` or `src/**/*.{ts,tsx}`; with a leading `!`, all others."
        ),
        type=_string_schema("Only files of this ripgrep type, such as `py`, `js`, `rust`, `go`."),
        output_mode=_string_schema(
            "The output: the lines, the files, or the number of matching lines in each.",
            enum=["content", "files_with_matches", "count"],
        ),
        **{
            "-i": _boolean_schema("Ignore case."),
            "-n": _boolean_schema("Show line numbers; with output_mode content only. On unless false."),
            "-A": _integer_schema("Lines to show after each match; with output_mode content only."),
            "-B": _integer_schema("Lines to show before each match; with output_mode content only."),
            "-C": _integer_schema("Lines to show before and after each match; with output_mode content only."),
        },
        multiline=_boolean_schema("Let `.` match line ends, and let matches span lines."),
        head_limit=_integer_schema("The maximum number of lines or files to return, from the first.", 1),
    ),
    "Write": _object_schema(
        ("file_path", "content"),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        content=_string_schema("The complete content of the file."),
    ),
    "Edit": _object_schema(
        ("file_path", "old_string", "new_string"),
        file_path=_string_schema(FILE_PATH_DESCRIPTION),
        old_string=_string_schema("The text to replace, exactly as in the file."),
        new_string=_string_schema("The replacement."),
        replace_all=_boolean_schema("Replace every occurrence; otherwise there must be exactly one."),
    ),
}


def build_bash_schema(max_seconds: float) -> Schema:
    """Returns the schema of `Bash`. max_seconds: the limit for commands."""
    max_milliseconds = round(max_seconds * 1000)
    return _object_schema(
        ("command",),
        command=_string_schema("The shell command to run."),
        timeout=_integer_schema(
            f"Milliseconds until the command is ended, up to {max_milliseconds}, which is the default.",
            1,
            max_milliseconds,
        ),
        description=_string_schema("What it does, in 5 to 10 words."),
        cwd=_string_schema("The absolute path of the working folder; by default the first of the allowed paths."),
    )


def list_available_tools(status: ToolsStatus) -> tuple[str, ...]:
    """Returns the names of the tools that an executor can run."""
    unavailable = (() if status.writable_paths else WRITE_TOOLS) + (() if status.allowed_commands else ("Bash",))
    return tuple(name for name in TOOL_NAMES if name not in unavailable)


def is_read_only(name: str, status: ToolsStatus) -> bool:
    """Whether a call of this tool changes nothing: a command can't, if no path is writable."""
    return name in READ_TOOLS or (name == "Bash" and not status.writable_paths)


def build_tool(name: str, status: ToolsStatus) -> Tool:
    """Returns a tool with its description and schema."""
    schema = SCHEMAS[name] if name != "Bash" else build_bash_schema(status.command_timeout)
    return Tool(name, DESCRIPTIONS[name], msgspec.json.encode(schema).decode())


def build_system_prompt(status: ToolsStatus) -> str:
    """Returns the system prompt, with the allowed paths and commands."""
    return "\n".join([SYSTEM_PROMPT, *describe_limits(status)])


def describe_limits(status: ToolsStatus) -> list[str]:
    """Returns sentences about the allowed paths and commands."""
    return [
        f"Readable paths: {', '.join(status.allowed_paths) or 'none'}.",
        f"Writable paths: {', '.join(status.writable_paths) or 'none'}.",
        f"Allowed commands: {', '.join(status.allowed_commands) or 'none'}.",
    ]
