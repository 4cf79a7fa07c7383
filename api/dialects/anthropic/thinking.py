"""Resolves how hard the model thinks in Anthropic's dialect: an effort by name, or a token budget. Pure.

Invariants: Anthropic adds values to `thinking.type`, `thinking.display` and `output_config.effort`, so an unknown value is
never rejected. An unknown type means `adaptive`, an unknown display `summarized`, and with an unknown effort the model
decides.
"""

from typing import cast

from api.core.problems import invalid_problem
from api.dialects.anthropic.models import MessagesRequest, ThinkingOptions
from shared.turn import Effort

MIN_THINKING_BUDGET = 1024
EFFORTS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
THINKING_TYPES = ("enabled", "adaptive", "disabled")
# `full` is the former name of `summarized`.
DISPLAYS = ("summarized", "omitted", "full")
# The first limit above a budget gives the effort.
EFFORT_BUDGETS: tuple[tuple[int, Effort], ...] = (
    (4_096, "low"),
    (16_384, "medium"),
    (32_768, "high"),
    (65_536, "xhigh"),
)


def resolve_effort(request: MessagesRequest) -> Effort | None:
    """Returns the named effort, or the one that the thinking options imply. Raises Problem."""
    implied = _resolve_thinking_effort(request.thinking, request.max_tokens)
    named: object = request.output_config.effort if request.output_config else None
    for message in request.messages:
        # The effort of a system message applies from there on.
        if message.role == "system" and isinstance(message.output_config, dict):
            named = cast("dict[str, object]", message.output_config).get("effort") or named
    return implied if named is None else EFFORTS.get(str(named))


def _resolve_thinking_effort(thinking: ThinkingOptions | None, max_tokens: int | None) -> Effort | None:
    """Returns the effort that the thinking options imply. Raises Problem."""
    if thinking is None:
        return None
    match thinking.type:
        case "disabled" | "between_tools":
            return "low"
        case "enabled":
            return budget_to_effort(_check_budget(thinking.budget_tokens, max_tokens))
        case _:
            return None


def budget_to_effort(tokens: int) -> Effort:
    """Returns the effort that a thinking budget implies."""
    efforts: list[Effort] = [effort for limit, effort in EFFORT_BUDGETS if tokens < limit]
    return efforts[0] if efforts else "max"


def _check_budget(budget: object, max_tokens: int | None) -> int:
    if isinstance(budget, int) and budget >= MIN_THINKING_BUDGET and (max_tokens is None or budget < max_tokens):
        return budget
    where = "thinking.budget_tokens"
    raise invalid_problem(
        f"`{where}` must be a number of at least {MIN_THINKING_BUDGET} and less than `max_tokens`.", where
    )
