"""Checks the fields of agent requests. Pure.

Invariants: an invalid field raises a Problem that names the field and the fix.
"""

from collections.abc import Sequence

from msgspec import Struct

from api.core.problems import invalid_problem


class AgentLimits(Struct, frozen=True):
    """Limits of the server's owner. max_prompt: in characters. max_turns: the number of turns with tool calls."""

    max_prompt: int = 100_000
    max_turns: int = 40


def check_prompt(text: str, limits: AgentLimits) -> str:
    """Returns the prompt, if it is not too long. Raises Problem."""
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
