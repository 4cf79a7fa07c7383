"""Encodes steps as progress messages and answers as results. Pure.

Invariants: a result has the answer twice, as the protocol requires: structured, and as text for models. A failure is a
result too, marked as an error, with a sentence that explains the fix.
"""

import msgspec
from mcp_types import CallToolResult, TextContent
from msgspec import Struct

from api.agent.answers import (
    BashAnswer,
    ChatAnswer,
    FileAnswer,
    OutputChunk,
    Step,
    ToolEnded,
    ToolOutputChunk,
    ToolStarted,
)
from api.core.problems import Problem
from shared.events import Admitted, Queued, Started, TextDelta

MAX_PROGRESS_LENGTH = 2000


def render_progress(step: Step) -> str | None:
    """Returns the progress message of a step; None if it has none."""
    match step:
        case Queued(ahead):
            return f"Queued; {ahead} ahead."
        case Admitted():
            return "The work starts."
        case Started(model):
            return f"{model} answers."
        case TextDelta(text) | OutputChunk(_, text) | ToolOutputChunk(_, _, text):
            return text[:MAX_PROGRESS_LENGTH]
        case ToolStarted(_, name, arguments):
            return f"{name}: {arguments}"[:MAX_PROGRESS_LENGTH]
        case ToolEnded(_, name, is_error, _):
            return f"{name} {'failed' if is_error else 'is done'}."
        case _:
            return None


def build_result(answer: Struct) -> CallToolResult:
    """Returns the result of an answer. An incomplete answer is an error in the protocol, too."""
    failed = isinstance(answer, ChatAnswer) and answer.is_error
    return CallToolResult(
        content=[TextContent(text=render_text(answer))], structured_content=msgspec.to_builtins(answer), is_error=failed
    )


def render_text(answer: Struct) -> str:
    """Returns an answer as text for a model."""
    match answer:
        case ChatAnswer():
            return f"{answer.result}\n\n(ended early: {answer.stop_reason})" if answer.is_error else answer.result
        case FileAnswer(encoding="utf-8"):
            return answer.content
        case BashAnswer():
            parts = [answer.stdout, answer.stderr, f"(exit status {answer.returncode})" if answer.returncode else ""]
            ends = ["(timed out)" if answer.timed_out else "", "(cut short)" if answer.truncated else ""]
            return "\n".join(part.rstrip("\n") for part in (*parts, *ends) if part)
        case _:
            return msgspec.json.encode(answer).decode()


def build_error_result(problem: Problem) -> CallToolResult:
    """Returns the result of a failed call."""
    return CallToolResult(content=[TextContent(text=problem.message)], is_error=True)
