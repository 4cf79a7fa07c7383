"""How hard the model is to think, as Anthropic's clients say it: an effort by name, or a budget of tokens. Pure.

Invariants: the values of `thinking.type`, `thinking.display` and `output_config.effort` are lists that the vendor adds to:
one that is not known is never refused. An unknown type is `adaptive`, an unknown display `summarized`, an unknown effort
leaves the effort to the model.
"""

from typing import cast

from msgspec import Struct

from api.core.problems import invalid_problem
from api.dialects.anthropic.models import MessagesRequest, ThinkingOptions
from shared.turn import Effort

MIN_THINKING_BUDGET = 1024
EFFORTS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
THINKING_TYPES = ("enabled", "adaptive", "disabled")
# `full` is what the display was called before it was `summarized`.
DISPLAYS = ("summarized", "omitted", "full")
# The first budget that is not reached gives the effort.
EFFORT_BUDGETS: tuple[tuple[int, Effort], ...] = (
    (4_096, "low"),
    (16_384, "medium"),
    (32_768, "high"),
    (65_536, "xhigh"),
)


class ThinkingVisibility(Struct, frozen=True):
    """What a client gets of the thinking. blocks: its blocks, to be sent back. words: what they say, too."""

    blocks: bool
    words: bool


def resolve_visibility(thinking: ThinkingOptions | None) -> ThinkingVisibility:
    """What a request gets of the thinking.

    A model that always thinks gives its blocks, without words, to a request that says nothing of thinking: the client
    sends them back, and the model goes on from them.
    """
    if thinking is None:
        return ThinkingVisibility(blocks=True, words=False)
    return ThinkingVisibility(blocks=thinking.type != "disabled", words=thinking.display != "omitted")


def resolve_effort(request: MessagesRequest) -> Effort | None:
    """How hard to think: what is named, or what the thinking's options amount to. Raises Problem."""
    of_thinking = _resolve_thinking_effort(request.thinking, request.max_tokens)
    named: object = request.output_config.effort if request.output_config else None
    for message in request.messages:
        # What a system message sets holds from there on.
        if message.role == "system" and isinstance(message.output_config, dict):
            named = cast("dict[str, object]", message.output_config).get("effort") or named
    return of_thinking if named is None else EFFORTS.get(str(named))


def _resolve_thinking_effort(thinking: ThinkingOptions | None, max_tokens: int | None) -> Effort | None:
    """The effort that the thinking's own options amount to. Raises Problem."""
    if thinking is None:
        return None
    match thinking.type:
        case "disabled" | "between_tools":
            return "low"
        case "enabled":
            return _budget_to_effort(thinking.budget_tokens, max_tokens)
        case _:
            return None


def _budget_to_effort(budget: object, max_tokens: int | None) -> Effort:
    if isinstance(budget, int) and budget >= MIN_THINKING_BUDGET and (max_tokens is None or budget < max_tokens):
        reached: list[Effort] = [effort for most, effort in EFFORT_BUDGETS if budget < most]
        return reached[0] if reached else "max"
    where = "thinking.budget_tokens"
    raise invalid_problem(
        f"`{where}` must be a number of at least {MIN_THINKING_BUDGET} and less than `max_tokens`.", where
    )
