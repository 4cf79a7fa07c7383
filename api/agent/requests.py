"""The requests for the agent's services, in every dialect.

Invariants: these structs are shapes only; `api.agent.checks` validates their values. Unknown fields are ignored.
"""

from typing import Annotated

from msgspec import Struct

from api.core.schema import NOT_BLANK, US_DOLLARS, doc
from shared.tool_jobs import MAX_LINES


class ChatRequest(Struct, frozen=True):
    """A prompt."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("The cost limit of the answer, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to stream the steps as events.")] = None


class CodeRequest(Struct, frozen=True):
    """A task on the server's allowed files."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions before the conversation.")] = None
    allowed_tools: Annotated[
        list[str] | None,
        doc(
            "Restricts the tools: `Read`, `Glob`, `Grep`, `Bash`, and `Write` and `Edit` where writing is allowed.",
            items={"enum": ["Read", "Glob", "Grep", "Bash", "Write", "Edit"]},
        ),
    ] = None
    max_budget_usd: Annotated[float | None, doc("The cost limit of the answer, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to stream the steps as events.")] = None


class AnalyzeRequest(Struct, frozen=True):
    """A prompt about files."""

    prompt: Annotated[str, doc("The prompt, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    context_files: Annotated[
        list[str] | None,
        doc("Paths of allowed files: text, images, PDF, office documents.", items=NOT_BLANK, maxItems=100),
    ] = None
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("The cost limit of the answer, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to stream the steps as events.")] = None


class FileReadRequest(Struct, frozen=True):
    """A file to read."""

    path: Annotated[str, doc("The file's path.", **NOT_BLANK)]
    offset: Annotated[int | None, doc("The first line, counted from 1.", minimum=1, maximum=MAX_LINES)] = None
    limit: Annotated[int | None, doc("The number of lines.", minimum=1, maximum=MAX_LINES)] = None


class BashRequest(Struct, frozen=True):
    """A command to run."""

    command: Annotated[str, doc("The shell text, less than 128 KiB; only allowed commands run.", **NOT_BLANK)]
    cwd: Annotated[str | None, doc("The working folder, an allowed path; by default the first allowed path.")] = None
    timeout: Annotated[float | None, doc("Seconds until the command is ended.", exclusiveMinimum=0, maximum=86_400)] = (
        None
    )
    stdin: Annotated[str | None, doc("Its standard input.")] = None
    stream: Annotated[bool | None, doc("Whether to stream the steps as events.")] = None
