"""What may be asked, whichever door it comes through.

Law: these are shapes only; `api.agent.checks` says what is allowed in them. Fields that are not here mean nothing.
"""

from msgspec import Struct


class ChatRequest(Struct, frozen=True):
    """Answer a prompt, without tools."""

    prompt: str
    model: str | None = None
    system_prompt: str | None = None
    max_budget_usd: float | None = None
    stream: bool | None = None


class CodeRequest(Struct, frozen=True):
    """Work on the allowed files with the allowed commands. allowed_tools: only these of the tools there are."""

    prompt: str
    model: str | None = None
    system_prompt: str | None = None
    allowed_tools: list[str] | None = None
    max_budget_usd: float | None = None
    stream: bool | None = None


class AnalyzeRequest(Struct, frozen=True):
    """Answer a prompt about files. context_files: paths of allowed files."""

    prompt: str
    context_files: list[str] | None = None
    model: str | None = None
    system_prompt: str | None = None
    max_budget_usd: float | None = None
    stream: bool | None = None


class FileReadRequest(Struct, frozen=True):
    """Read an allowed file. offset: the first line, counted from 1; limit: how many lines."""

    path: str
    offset: int | None = None
    limit: int | None = None


class BashRequest(Struct, frozen=True):
    """Run allowed commands. timeout: in seconds."""

    command: str
    cwd: str | None = None
    timeout: float | None = None
    stdin: str | None = None
    stream: bool | None = None
