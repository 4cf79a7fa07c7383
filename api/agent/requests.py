"""What may be asked, whichever door it comes through.

Law: these are shapes only; `api.agent.checks` says what is allowed in them. Fields that are not here mean nothing.
"""

from typing import Annotated

from msgspec import Struct

from api.core.schema import NOT_BLANK, US_DOLLARS, doc
from shared.tool_jobs import MAX_LINES


class ChatRequest(Struct, frozen=True):
    """A prompt."""

    prompt: Annotated[str, doc("What is asked, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions that stand before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("What the answer may cost, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to send what happens as events, as it happens.")] = None


class CodeRequest(Struct, frozen=True):
    """A task on the server's allowed files."""

    prompt: Annotated[str, doc("What is asked, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions that stand before the conversation.")] = None
    allowed_tools: Annotated[
        list[str] | None,
        doc(
            "Only these of the tools there are: `Read`, `Glob`, `Grep`, `Bash`, and `Write` and `Edit` where writing is allowed.",
            items={"enum": ["Read", "Glob", "Grep", "Bash", "Write", "Edit"]},
        ),
    ] = None
    max_budget_usd: Annotated[float | None, doc("What the answer may cost, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to send what happens as events, as it happens.")] = None


class AnalyzeRequest(Struct, frozen=True):
    """A prompt about files."""

    prompt: Annotated[str, doc("What is asked, 1 to MAX_PROMPT characters.", **NOT_BLANK)]
    context_files: Annotated[
        list[str] | None,
        doc("Paths of allowed files: text, pictures, PDF, office documents.", items=NOT_BLANK, maxItems=100),
    ] = None
    model: Annotated[str | None, doc("A name of `GET /api/models`; without one, the server's default.")] = None
    system_prompt: Annotated[str | None, doc("Instructions that stand before the conversation.")] = None
    max_budget_usd: Annotated[float | None, doc("What the answer may cost, in US dollars.", **US_DOLLARS)] = None
    stream: Annotated[bool | None, doc("Whether to send what happens as events, as it happens.")] = None


class FileReadRequest(Struct, frozen=True):
    """A file to read."""

    path: Annotated[str, doc("The file's path.", **NOT_BLANK)]
    offset: Annotated[int | None, doc("The first line, counted from 1.", minimum=1, maximum=MAX_LINES)] = None
    limit: Annotated[int | None, doc("How many lines.", minimum=1, maximum=MAX_LINES)] = None


class BashRequest(Struct, frozen=True):
    """Shell text to run."""

    command: Annotated[str, doc("The shell text, less than 128 KiB; only allowed commands run.", **NOT_BLANK)]
    cwd: Annotated[str | None, doc("An allowed folder to run it in; without it, the first allowed path.")] = None
    timeout: Annotated[float | None, doc("Seconds until it is ended.", exclusiveMinimum=0, maximum=86_400)] = None
    stdin: Annotated[str | None, doc("Its input.")] = None
    stream: Annotated[bool | None, doc("Whether to send what happens as events, as it happens.")] = None
