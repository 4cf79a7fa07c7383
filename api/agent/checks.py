"""Checks the fields of agent requests. Pure.

Invariants: an invalid field raises a Problem that names the field and the fix.
"""

from collections.abc import Sequence

from msgspec import Struct

from api.core.problems import invalid_problem
from shared.tool_jobs import MAX_LINES

MAX_CONTEXT_FILES = 100


class AgentLimits(Struct, frozen=True):
    """Limits of the server's owner. max_prompt: in characters. max_turns: the number of turns with tool calls."""

    max_prompt: int = 100_000
    max_turns: int = 40


def check_prompt(text: str, limits: AgentLimits) -> str:
    """Returns the prompt, if it is neither blank nor too long. Raises Problem."""
    if not text.strip():
        raise invalid_problem("`prompt` must not be blank.", "prompt")
    if len(text) > limits.max_prompt:
        raise invalid_problem(
            f"`prompt` has {len(text)} characters; {limits.max_prompt} are allowed. The server's owner sets the limit "
            "with MAX_PROMPT.",
            "prompt",
        )
    return text


def check_allowed_tools(
    requested: Sequence[str] | None, known: tuple[str, ...], available: tuple[str, ...]
) -> tuple[str, ...]:
    """Returns the tools for the model: the requested ones, or all available ones. Raises Problem."""
    for name in requested or ():
        if name not in known:
            raise invalid_problem(
                f"`allowed_tools`: unknown tool `{name}`; the tools are {', '.join(known)}.", "allowed_tools"
            )
        if name not in available:
            raise invalid_problem(
                f"`allowed_tools`: this server does not allow `{name}`; it allows {', '.join(available)}.",
                "allowed_tools",
            )
    return available if requested is None else tuple(name for name in available if name in requested)


def check_context_files(paths: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the paths of the files to read. Raises Problem."""
    if paths and len(paths) > MAX_CONTEXT_FILES:
        raise invalid_problem(
            f"`context_files` accepts up to {MAX_CONTEXT_FILES} paths, not {len(paths)}.", "context_files"
        )
    for number, path in enumerate(paths or ()):
        check_not_empty(path, f"context_files[{number}]")
    return tuple(paths or ())


def check_not_empty(text: str, place: str) -> str:
    """Returns a path or command, if it is not blank. Raises Problem."""
    if not text.strip():
        raise invalid_problem(f"`{place}` is empty.", place)
    return text


def check_line_count(number: int | None, place: str) -> int | None:
    """Checks a line number or count. Raises Problem."""
    if number is not None and not 1 <= number <= MAX_LINES:
        raise invalid_problem(f"`{place}` goes from 1 to {MAX_LINES}.", place)
    return number


def check_timeout(timeout: float | None) -> float | None:
    """Checks a timeout. Raises Problem."""
    if timeout is not None and not 0 < timeout <= 86_400:
        raise invalid_problem("`timeout` must be more than 0 seconds and at most a day (86400).", "timeout")
    return timeout
