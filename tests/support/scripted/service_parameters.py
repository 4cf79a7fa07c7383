"""The rules of a request's parameters."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.support.scripted.service_request import Request

DISPLAYS = ("highlights", "omitted", "summarized", "updates")
SMALLEST_BUDGET = 1024
THINKS = ("adaptive", "enabled")


def find_forced_choice(request: Request) -> Iterator[str]:
    """Newer models refuse forced tool calls; older ones refuse them with thinking."""
    if (request.body.get("tool_choice") or {}).get("type") not in {"any", "tool"}:
        return
    if not request.model.takes_forced_calls:
        yield 'tool_choice: type "tool" and "any" are not supported for this model.'
    elif request.model.version < (5, 0) and request.thinking in THINKS:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def find_choice_of_nothing(request: Request) -> Iterator[str]:
    """A choice needs tools, and names one of them."""
    if not (choice := request.body.get("tool_choice")):
        return
    if choice.get("type") not in {"any", "auto", "none", "tool"}:
        yield f"tool_choice: Input tag '{choice.get('type')}' found using 'type' does not match any of the expected tags"
    elif not request.tools:
        yield "tool_choice: tool_choice may only be specified while providing tools."
    elif choice["type"] == "tool" and choice.get("name") not in [tool.get("name") for tool in request.tools]:
        yield f"tool_choice: Tool '{choice.get('name')}' not found in provided tools"


def find_thinking_type(request: Request) -> Iterator[str]:
    """Each model has its types of thinking."""
    if not (thinking := request.body.get("thinking")):
        return
    kind, types = thinking.get("type"), request.model.thinking_types
    effort = (request.body.get("output_config") or {}).get("effort")
    if kind not in types:
        yield (
            f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.{types[0]}" and '
            '"output_config.effort" to control thinking behavior.'
        )
    elif kind == "between_tools" and effort in {"xhigh", "max"}:
        yield f'"thinking.type.between_tools" is not supported with "output_config.effort" of "{effort}".'


def find_thinking_display(request: Request) -> Iterator[str]:
    """A list that grows."""
    display = (request.body.get("thinking") or {}).get("display")
    if display is not None and display not in DISPLAYS:
        yield f"thinking.display: Input should be one of {', '.join(map(repr, DISPLAYS))}"


def find_thinking_budget(request: Request) -> Iterator[str]:
    """A budget for thinking is part of `max_tokens`, and not too small."""
    if request.thinking != "enabled":
        return
    budget, most = request.body["thinking"].get("budget_tokens"), request.body.get("max_tokens", 0)
    if not isinstance(budget, int):
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < SMALLEST_BUDGET:
        yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {SMALLEST_BUDGET}"
    elif budget >= most:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def find_sampling(request: Request) -> Iterator[str]:
    """Newer models sample in their own way, and so does thinking."""
    given: dict[str, Any] = {name: request.body.get(name) for name in ("temperature", "top_p", "top_k")}
    changed = [name for name, value in given.items() if value is not None and (name == "top_k" or value != 1)]
    if not request.model.takes_sampling:
        yield from (f"{name}: only the default value is supported for this model" for name in changed)
    for name in ("temperature", "top_p"):
        if given[name] is not None and not 0 <= given[name] <= 1:
            yield f"{name}: range: 0..1"
    if request.thinking in THINKS and changed:
        yield f"`{changed[0]}` may only be left at its default when thinking is enabled"


def find_most_tokens(request: Request) -> Iterator[str]:
    """`max_tokens` is needed, and no more than the model can."""
    asked, most = request.body.get("max_tokens"), request.model.max_tokens
    if not isinstance(asked, int) or isinstance(asked, bool):
        yield "max_tokens: Input should be a valid integer"
    elif asked < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    elif asked > most:
        name = request.body.get("model")
        yield f"max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for {name}"


def find_blank_stop_sequences(request: Request) -> Iterator[str]:
    """A stop sequence has something to see."""
    for sequence in request.body.get("stop_sequences") or []:
        if not isinstance(sequence, str) or not sequence.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"


PARAMETER_RULES: Mapping[str, Callable[[Request], Iterator[str]]] = {
    "max_tokens": find_most_tokens,
    "stop_sequences": find_blank_stop_sequences,
    "sampling": find_sampling,
    "thinking_type": find_thinking_type,
    "thinking_display": find_thinking_display,
    "thinking_budget": find_thinking_budget,
    "forced_tool_choice": find_forced_choice,
    "tool_choice": find_choice_of_nothing,
}
