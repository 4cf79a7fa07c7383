"""How hard the model is to think, as Anthropic's clients say it: an effort by name, or a budget of tokens. Pure."""

from api.anthropic.models import MessagesRequest, ThinkingOptions
from api.problems import invalid
from shared.turn import Effort

LEAST_BUDGET = 1024
EFFORTS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
# The first budget that is not reached gives the effort.
BUDGETS: tuple[tuple[int, Effort], ...] = ((4_096, "low"), (16_384, "medium"), (32_768, "high"), (65_536, "xhigh"))


def effort(request: MessagesRequest) -> Effort | None:
    """How hard to think: what is named, or what the thinking's budget amounts to. Raises Problem."""
    of_thinking = thought(request.thinking, request.max_tokens)
    named = request.output_config.effort if request.output_config else None
    if named is None:
        return of_thinking
    if named not in EFFORTS:
        where = "output_config.effort"
        raise invalid(f"`{where}` must be one of {', '.join(EFFORTS)}, not `{named}`.", where)
    return EFFORTS[named]


def thought(thinking: ThinkingOptions | None, max_tokens: int | None) -> Effort | None:
    """The effort that the thinking's own options amount to. Raises Problem."""
    if thinking is None:
        return None
    if thinking.display not in {None, "summarized", "omitted", "full"}:
        where = "thinking.display"
        raise invalid(f"`{where}` must be summarized or omitted, not `{thinking.display}`.", where)
    match thinking.type:
        case "disabled":
            return "low"
        case "adaptive":
            return None
        case "enabled":
            budget = thinking.budget_tokens
            where = "thinking.budget_tokens"
            if budget is None or budget < LEAST_BUDGET or (max_tokens is not None and budget >= max_tokens):
                raise invalid(f"`{where}` must be at least {LEAST_BUDGET} and less than `max_tokens`.", where)
            reached: list[Effort] = [effort for most, effort in BUDGETS if budget < most]
            return reached[0] if reached else "max"
        case other:
            where = "thinking.type"
            raise invalid(f"`{where}` must be enabled, adaptive or disabled, not `{other}`.", where)
