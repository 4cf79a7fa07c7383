"""The requests of the REST API and of MCP tools.

Invariants: decoders check types and limits, `api.agent.checks` what depends on the server. Unknown fields are ignored.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api.core.schema import NOT_BLANK, Dollars, NotBlank, doc
from shared.tool_jobs import MAX_LINES

LineCount = Annotated[int, Meta(ge=1, le=MAX_LINES)]


class PromptRequest(Struct, frozen=True, kw_only=True):
    """A prompt, and options for the answer."""

    prompt: Annotated[NotBlank, doc("The prompt, 1 to MAX_PROMPT characters.")]
    model: Annotated[str | None, doc("A name from `GET /api/models`. Default: DEFAULT_MODEL.")] = None
    system_prompt: Annotated[str | None, doc("Instructions for the model, placed before the conversation.")] = None
    max_budget_usd: Annotated[Dollars | None, doc("The most that the answer may cost, in US dollars.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None


class ChatRequest(PromptRequest, frozen=True, kw_only=True):
    """A prompt."""


class CodeRequest(PromptRequest, frozen=True, kw_only=True):
    """A task on the server's allowed files."""

    allowed_tools: Annotated[
        list[str] | None,
        doc(
            "The tools that the model may use: `Read`, `Glob`, `Grep`, `Bash`, and, with WRITABLE_PATHS, `Write` and `Edit`. Default: all that are available.",
            items={"enum": ["Read", "Glob", "Grep", "Bash", "Write", "Edit"]},
        ),
    ] = None


class AnalyzeRequest(PromptRequest, frozen=True, kw_only=True):
    """A prompt about files."""

    context_files: Annotated[
        Annotated[list[str], Meta(max_length=100)] | None,
        doc("Paths of allowed files: text, images, PDF or office documents; at most 100.", items=NOT_BLANK),
    ] = None


class FileReadRequest(Struct, frozen=True):
    """A file to read."""

    path: Annotated[NotBlank, doc("The path of the file.")]
    offset: Annotated[LineCount | None, doc("The first line to return, counted from 1.")] = None
    limit: Annotated[LineCount | None, doc("The most lines to return.")] = None


class BashRequest(Struct, frozen=True):
    """A shell command to run."""

    command: Annotated[NotBlank, doc("The shell command, less than 128 KiB; it can run only allowed commands.")]
    cwd: Annotated[
        NotBlank | None, doc("The working directory, an allowed folder. Default: the first allowed path.")
    ] = None
    timeout: Annotated[
        Annotated[float, Meta(gt=0, le=86_400)] | None, doc("The time limit of the command, in seconds.")
    ] = None
    stdin: Annotated[str | None, doc("The standard input of the command.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the answer as server-sent events.")] = None
