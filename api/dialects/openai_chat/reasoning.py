"""Resolves how hard the model thinks for a chat completion, and whether its thinking is shown. Pure."""

from api.conversation.fields import parse_effort
from api.conversation.parameters import ShowReasoning
from api.core.problems import invalid_problem
from api.dialects.anthropic.thinking import budget_to_effort
from api.dialects.openai_chat.models import ChatCompletionRequest, ReasoningOptions
from shared.turn import Effort


def resolve_effort(request: ChatCompletionRequest) -> Effort | None:
    """Returns the effort, by OpenAI's parameter or by that of other gateways. Raises Problem."""
    options = request.reasoning
    named = parse_effort(request.reasoning_effort, "reasoning_effort")
    if options is None:
        return named
    of_options = parse_effort(options.effort or ("none" if options.enabled is False else None), "reasoning.effort")
    effort = named or of_options
    if effort or options.max_tokens is None:
        return effort
    if options.max_tokens < 0:
        raise invalid_problem("`reasoning.max_tokens` must be 0 or more.", "reasoning.max_tokens")
    return budget_to_effort(options.max_tokens)


def is_reasoning_shown(request: ChatCompletionRequest, setting: ShowReasoning) -> bool:
    """Whether the answer has `reasoning_content`. The setting decides; a request can decline it."""
    options = request.reasoning or ReasoningOptions()
    if setting == "never" or request.include_reasoning is False or options.exclude:
        return False
    return setting == "always" or is_reasoning_requested(request, options)


def is_reasoning_requested(request: ChatCompletionRequest, options: ReasoningOptions) -> bool:
    """Whether a request asks for reasoning, by any of its parameters."""
    if request.include_reasoning:
        return True
    effort_named = request.reasoning_effort or options.effort
    if effort_named is not None:
        return effort_named != "none"
    if options.enabled is not None:
        return options.enabled
    return bool(options.max_tokens) or (options.summary or "none") != "none"
