"""The requests of the REST API and of MCP tools.

Invariants: these structs declare types only; `api.agent.checks` checks the values. Unknown fields are ignored.
"""

from typing import Annotated

from msgspec import Struct

from api.core.schema import NOT_BLANK, US_DOLLARS, doc
from shared.tool_jobs import MAX_LINES


class ChatRequest(Struct, frozen=True):
    """A prompt."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name from `GET /api/models`. Default: DEFAULT_MODEL.")] = None
    system_prompt: Annotated[str | None, doc("Instructions for the model, placed before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("The most that the answer may cost, in US dollars.", **US_DOLLARS)] = (
        None
    )
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None


class CodeRequest(Struct, frozen=True):
    """A task on the server's allowed files."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name from `GET /api/models`. Default: DEFAULT_MODEL.")] = None
    system_prompt: Annotated[str | None, doc("Instructions for the model, placed before the conversation.")] = None
    allowed_tools: Annotated[
        list[str] | None,
        doc(
            "The tools that the model may use: `Read`, `Glob`, `Grep`, `Bash`, and, with WRITABLE_PATHS, `Write` and `Edit`. Default: all that are available.",
            items={"enum": ["Read", "Glob", "Grep", "Bash", "Write", "Edit"]},
        ),
    ] = None
    max_budget_usd: Annotated[float | None, doc("The most that the answer may cost, in US dollars.", **US_DOLLARS)] = (
        None
    )
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None


class AnalyzeRequest(Struct, frozen=True):
    """A prompt about files."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    context_files: Annotated[
        list[str] | None,
        doc(
            "Paths of allowed files: text, images, PDF or office documents; at most 100.", items=NOT_BLANK, maxItems=100
        ),
    ] = None
    model: Annotated[str | None, doc("A name from `GET /api/models`. Default: DEFAULT_MODEL.")] = None
    system_prompt: Annotated[str | None, doc("Instructions for the model, placed before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("The most that the answer may cost, in US dollars.", **US_DOLLARS)] = (
        None
    )
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None


class FileReadRequest(Struct, frozen=True):
    """A file to read."""

    path: Annotated[str, doc("The path of the file.", **NOT_BLANK)]
    offset: Annotated[int | None, doc("The first line to return, counted from 1.", minimum=1, maximum=MAX_LINES)] = None
    limit: Annotated[int | None, doc("The most lines to return.", minimum=1, maximum=MAX_LINES)] = None


class BashRequest(Struct, frozen=True):
    """A shell command to run."""

    command: Annotated[str, doc("The shell command, less than 128 KiB; it can run only allowed commands.", **NOT_BLANK)]
    cwd: Annotated[str | None, doc("The working directory, an allowed folder. Default: the first allowed path.")] = None
    timeout: Annotated[
        float | None, doc("The time limit of the command, in seconds.", exclusiveMinimum=0, maximum=86_400)
    ] = None
    stdin: Annotated[str | None, doc("The standard input of the command.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None
