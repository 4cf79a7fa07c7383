"""The tools as a model sees them: names, descriptions, schemas. Pure.

Invariants: a tool is offered only if it can be used: `Write` and `Edit` if a path is writable, `Bash` if a command is
allowed.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from api.core.schema import Json, NotEmpty, doc, schemas_of
from shared.tool_jobs import MAX_LINES, MAX_PDF_PAGES, ToolsStatus
from shared.turn import Tool

DEFAULT_READ_LINES = 2000
DEFAULT_READ_PAGES = 10
READ_TOOLS = ("Read", "Glob", "Grep")
WRITE_TOOLS = ("Write", "Edit")
TOOL_NAMES = (*READ_TOOLS, "Bash", *WRITE_TOOLS)
# The modes of `Grep` as in a job.
OUTPUT_MODES: dict[str, Literal["content", "files", "count"]] = {
    "content": "content",
    "files_with_matches": "files",
    "count": "count",
}


SYSTEM_PROMPT = """\
You work on files and folders of this server's machine with the tools you have; each of your calls is checked. \
A call that is not allowed is rejected with the reason: continue with what is allowed, and mention it at the end if it \
matters."""
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

Count = Annotated[int, Meta(ge=0, le=MAX_LINES)]
Number = Annotated[int, Meta(ge=1, le=MAX_LINES)]
FilePath = Annotated[NotEmpty, doc("The absolute path of the file.")]
SearchPath = Annotated[
    NotEmpty | None,
    doc("The absolute path of the folder or file to search; by default the first of the allowed paths."),
]


class ReadCall(Struct, frozen=True, forbid_unknown_fields=True):
    file_path: FilePath
    offset: Annotated[Number | None, doc("The first line, counted from 1.")] = None
    limit: Annotated[Number | None, doc("The number of lines to read.")] = None
    pages: Annotated[str | int | None, doc('The pages of a PDF, such as "3" or "11-20".', type="string")] = None


class GlobCall(Struct, frozen=True, forbid_unknown_fields=True):
    pattern: Annotated[NotEmpty, doc("The pattern, such as `**/*.md`.")]
    path: SearchPath = None


class GrepCall(Struct, frozen=True, forbid_unknown_fields=True):
    pattern: Annotated[NotEmpty, doc("The regular expression to search for.")]
    path: SearchPath = None
    glob: Annotated[
        str | None,
        doc(
            "Only files that match this pattern, such as `*.js` or `src/**/*.{ts,tsx}`; with a leading `!`, all others."
        ),
    ] = None
    type: Annotated[str | None, doc("Only files of this ripgrep type, such as `py`, `js`, `rust`, `go`.")] = None
    output_mode: Annotated[
        str | None,
        doc("The output: the lines, the files, or the number of matching lines in each.", enum=[*OUTPUT_MODES]),
    ] = None
    ignore_case: Annotated[bool | None, doc("Ignore case.")] = field(default=None, name="-i")
    line_numbers: Annotated[bool | None, doc("Show line numbers; with output_mode content only. On unless false.")] = (
        field(default=None, name="-n")
    )
    after: Annotated[Count | None, doc("Lines to show after each match; with output_mode content only.")] = field(
        default=None, name="-A"
    )
    before: Annotated[Count | None, doc("Lines to show before each match; with output_mode content only.")] = field(
        default=None, name="-B"
    )
    around: Annotated[
        Count | None, doc("Lines to show before and after each match; with output_mode content only.")
    ] = field(default=None, name="-C")
    multiline: Annotated[bool | None, doc("Let `.` match line ends, and let matches span lines.")] = None
    head_limit: Annotated[Number | None, doc("The maximum number of lines or files to return, from the first.")] = None


class BashCall(Struct, frozen=True, forbid_unknown_fields=True):
    command: Annotated[str, doc("The shell command to run.")]
    timeout: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        doc("Milliseconds until the command is ended, up to `maximum`, which is the default.", type="integer"),
    ] = None
    description: Annotated[str | None, doc("What it does, in 5 to 10 words.")] = None
    cwd: Annotated[
        NotEmpty | None, doc("The absolute path of the working folder; by default the first of the allowed paths.")
    ] = None


class WriteCall(Struct, frozen=True, forbid_unknown_fields=True):
    file_path: FilePath
    content: Annotated[str, doc("The complete content of the file.")]


class EditCall(Struct, frozen=True, forbid_unknown_fields=True):
    file_path: FilePath
    old_string: Annotated[str, doc("The text to replace, exactly as in the file.")]
    new_string: Annotated[str, doc("The replacement.")]
    replace_all: Annotated[bool | None, doc("Replace every occurrence; otherwise there must be exactly one.")] = None


type Call = ReadCall | GlobCall | GrepCall | BashCall | WriteCall | EditCall

CALL_TYPES: dict[str, type[Call]] = {
    "Read": ReadCall,
    "Glob": GlobCall,
    "Grep": GrepCall,
    "Bash": BashCall,
    "Write": WriteCall,
    "Edit": EditCall,
}


def list_available_tools(status: ToolsStatus) -> tuple[str, ...]:
    """Returns the names of the tools that an executor can run."""
    unavailable = (() if status.writable_paths else WRITE_TOOLS) + (() if status.allowed_commands else ("Bash",))
    return tuple(name for name in TOOL_NAMES if name not in unavailable)


def is_read_only(name: str, status: ToolsStatus) -> bool:
    """Whether a call of this tool changes nothing: a command can't, if no path is writable."""
    return name in READ_TOOLS or (name == "Bash" and not status.writable_paths)


def build_tool(name: str, status: ToolsStatus) -> Tool:
    """Returns a tool with its description and the schema of its calls."""
    [schema] = schemas_of(CALL_TYPES[name]).values()
    if name == "Bash":
        timeout = schema["properties"]["timeout"]
        timeout["maximum"] = round(status.command_timeout * 1000)
        timeout["description"] = timeout["description"].replace("`maximum`", str(timeout["maximum"]))
    properties = {name: _require_value(field) for name, field in schema["properties"].items()}
    schema = {"type": "object", "properties": properties, "required": schema["required"], "additionalProperties": False}
    return Tool(name, DESCRIPTIONS[name], msgspec.json.encode(schema).decode())


def _require_value(field: Json) -> Json:
    """Returns the schema of an optional field without null, which a model need not send."""
    first, *_ = field.get("anyOf", [{}])
    return {**first, **{key: value for key, value in field.items() if key not in {"anyOf", "default"}}}


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
