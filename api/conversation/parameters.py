"""All parameters of requests and how the server treats them: one table for each dialect, which the docs repeat.

Invariants: a parameter is supported, emulated, ignored (the response lists it in a header; with
REJECT_UNSUPPORTED_PARAMS it is rejected), accepted (another vendor's bookkeeping), or rejected with its name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from api.core.problems import invalid_problem

MAX_LISTED_NAMES = 32
MAX_NAME_LENGTH = 120
MORE_NAMES = "and others"
UNPRINTABLE = re.compile(r"[^ -~]")

type ShowReasoning = Literal["auto", "always", "never"]
type Treatment = Literal["supported", "emulated", "ignored", "accepted", "rejected"]


class Parameter(Struct, frozen=True):
    """How the server treats a parameter. range: the allowed numbers.

    harmless: values of a rejected or ignored parameter that are accepted, since they request only the default behaviour.
    """

    treatment: Treatment
    note: str
    harmless: tuple[object, ...] = ()
    range: tuple[float, float] | None = None


class Policy(Struct, frozen=True):
    """The server's settings for parameters.

    strict: reject ignored parameters. max_choices: the largest `n`. keep_alive: seconds between keepalive comments.
    show_reasoning: whether chat completions have `reasoning_content`: if the request asks for it, always, or never.
    """

    strict: bool = False
    max_choices: int = 4
    keep_alive: float = 10
    show_reasoning: ShowReasoning = "auto"


def _ignored(note: str, low: float | None = None, high: float | None = None) -> Parameter:
    return Parameter("ignored", note, range=None if low is None or high is None else (low, high))


# Of every API of OpenAI.
_COMMON = {
    "model": Parameter("supported", "a name from GET /v1/models; the default is DEFAULT_MODEL"),
    "stream": Parameter("supported", ""),
    "max_budget_usd": Parameter(
        "supported", "checked before each further message of the model, by the cost that the CLI reports"
    ),
    "temperature": _ignored("current models do not accept it", 0, 2),
    "top_p": _ignored("current models do not accept it", 0, 1),
    "user": Parameter("accepted", ""),
}
# Of chat completions and legacy completions.
_OF_COMPLETIONS = {
    "stream_options": Parameter("supported", "`include_usage`"),
    "stop": Parameter("supported", "up to 64; the server itself matches texts that are only white space"),
    "seed": _ignored("the service has no such parameter"),
    "frequency_penalty": _ignored("the service has no such parameter", -2, 2),
    "presence_penalty": _ignored("the service has no such parameter", -2, 2),
    "top_k": _ignored("current models do not accept it"),
    "min_p": _ignored("the service has no such parameter"),
    "repetition_penalty": _ignored("the service has no such parameter"),
    "logit_bias": Parameter("rejected", "the service has no such parameter", harmless=(None, {})),
}
# Of chat completions and responses.
_OF_CONVERSATIONS = {
    "tool_choice": Parameter(
        "supported",
        "the service applies it; emulated for models that reject a forced call; the server checks the answer",
    ),
    "parallel_tool_calls": Parameter("supported", "the service applies it; the server checks the answer"),
    "moderation": _ignored("the server does not use a moderation model"),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "safety_identifier": Parameter("accepted", ""),
}

CHAT_PARAMETERS: dict[str, Parameter] = {
    "messages": Parameter("supported", "each message reaches the model in its role"),
    **_COMMON,
    **_OF_COMPLETIONS,
    **_OF_CONVERSATIONS,
    "max_tokens": Parameter("supported", "the service enforces the limit"),
    "max_completion_tokens": Parameter("supported", "takes precedence over `max_tokens`"),
    "tools": Parameter("supported", "with their names, descriptions and schemas"),
    "functions": Parameter("supported", "the legacy form of `tools`"),
    "function_call": Parameter("supported", "the legacy form of `tool_choice`"),
    "response_format": Parameter("supported", "the CLI's structured output, which validates the answer"),
    "reasoning_effort": Parameter(
        "supported", "`none` and `minimal` mean the CLI's `low`; the answer contains the thinking"
    ),
    "reasoning": Parameter("supported", "`effort`, `max_tokens`, `enabled`, `exclude`, as other gateways define them"),
    "include_reasoning": Parameter(
        "supported", "whether the answer contains the thinking, as other gateways define it"
    ),
    "n": Parameter("emulated", "up to MAX_CHOICES conversations at the same time"),
    "top_a": _ignored("the service has no such parameter"),
    "logprobs": Parameter("ignored", "the service returns none; `logprobs` of the answer is null", harmless=(False,)),
    "top_logprobs": Parameter("ignored", "the service returns none", harmless=(0,)),
    "prediction": _ignored("the service does not support predicted output"),
    "verbosity": _ignored("the service has no such parameter"),
    "thinking": _ignored("send `reasoning_effort` or `reasoning`"),
    "models": _ignored("one model answers; send its name as `model`"),
    "route": _ignored("one service answers"),
    "provider": _ignored("one service answers"),
    "transforms": _ignored("the server never truncates a conversation"),
    "plugins": _ignored("the server has none"),
    "metadata": Parameter("accepted", ""),
    "store": Parameter("accepted", "chat completions are not stored"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content"),
    "usage": Parameter("accepted", "every answer contains tokens and cost"),
    "audio": Parameter("rejected", "the models do not produce audio", harmless=(None,)),
    "modalities": Parameter("rejected", "the models answer in text", harmless=(None, ["text"])),
    "web_search_options": Parameter("rejected", "the server does not offer web search", harmless=(None,)),
    "previous_response_id": Parameter(
        "rejected", "use it with POST /v1/responses, or send all messages", harmless=(None, "")
    ),
}

COMPLETIONS_PARAMETERS: dict[str, Parameter] = {
    **_COMMON,
    **_OF_COMPLETIONS,
    "prompt": Parameter("emulated", "a text, or a list of texts; the model is instructed to continue it"),
    "suffix": Parameter("emulated", "the text after the gap; the model is instructed to fill the gap"),
    "max_tokens": Parameter("supported", "the service enforces the limit; the default is no limit, not OpenAI's 16"),
    "n": Parameter("emulated", "several conversations at the same time; MAX_CHOICES limits the total over all prompts"),
    "echo": Parameter("emulated", "the server puts the prompt before the answer"),
    "best_of": Parameter("emulated", "must equal `n`: the server cannot rate answers"),
    "logprobs": _ignored("the service returns none; `logprobs` of the answer is null"),
}

RESPONSES_PARAMETERS: dict[str, Parameter] = {
    "input": Parameter("supported", "a text, or items; each reaches the model in its role"),
    **_COMMON,
    **_OF_CONVERSATIONS,
    "instructions": Parameter("supported", "the first system text; not taken from an earlier response"),
    "previous_response_id": Parameter("supported", "a stored response of the same key"),
    "store": Parameter(
        "supported",
        "stored unless `false`, within RESPONSE_STORE_MAX_ITEMS, RESPONSE_STORE_MAX_BYTES and RESPONSE_STORE_TTL",
    ),
    "background": Parameter(
        "supported", "the server responds at once; retrieve the result with `GET`; requires `store`"
    ),
    "max_output_tokens": Parameter("supported", "the service enforces the limit"),
    "tools": Parameter("supported", "functions, custom tools, namespaces; tools that OpenAI runs are ignored"),
    "text": Parameter("supported", "`format`: the CLI's structured output; `verbosity` is ignored"),
    "reasoning": Parameter("supported", "`effort`; `summary` includes the thinking; `context` and `mode` are ignored"),
    "include": Parameter("supported", "`reasoning.encrypted_content`; any other value is ignored"),
    "metadata": Parameter("supported", "stored and returned with the response"),
    "truncation": Parameter("supported", "`disabled`; `auto` is ignored: the server never truncates a conversation"),
    "top_logprobs": Parameter("ignored", "the service returns none; `logprobs` are empty", harmless=(0,)),
    "context_management": _ignored("the server never truncates a conversation"),
    "access_programs": _ignored("the server has none"),
    "background_options": _ignored("background responses start at once"),
    "image": _ignored("images are not compressed"),
    "personality": _ignored("the models have no selectable personality"),
    "max_tool_calls": Parameter("accepted", "it limits calls of tools that OpenAI runs"),
    "stream_options": Parameter("accepted", "`include_obfuscation`: the server does not pad events"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content; `prewarm` is ignored"),
    "client_metadata": Parameter("accepted", ""),
    "conversation": Parameter("rejected", "send `previous_response_id`, or the complete input", harmless=(None,)),
    "prompt": Parameter("rejected", "the server stores no prompts; send `instructions` and `input`", harmless=(None,)),
}


def check_parameters(table: Mapping[str, Parameter], fields: Mapping[str, object], *, strict: bool) -> tuple[str, ...]:
    """Returns the names of the ignored parameters in a request. Raises Problem for a rejected parameter."""
    ignored: list[str] = []
    for name, parameter in table.items():
        value = fields.get(name)
        match parameter.treatment:
            case "rejected" if name in fields and value not in parameter.harmless:
                raise invalid_problem(f"`{name}` is not supported: {parameter.note}.", name, "unsupported_parameter")
            case "ignored" if value is not None and value not in parameter.harmless:
                _check_range(name, value, parameter.range)
                ignored.append(name)
            case _:
                pass
    if ignored:
        check_ignored(ignored[:1], strict=strict, why=f": {table[ignored[0]].note}")
    return tuple(ignored)


def build_parameter_headers(ignored: Sequence[str], altered: Sequence[str] = ()) -> dict[str, str]:
    """Returns the headers that list ignored parameters, and places that the model reads in another form.

    Names can come from the client, so the values are ASCII and have a bounded length (RFC 9110, section 5.5).
    """
    names_by_header = {"x-ignored-parameters": ignored, "x-altered-parameters": altered}
    return {header: ", ".join(_list_printable(names)) for header, names in names_by_header.items() if names}


def _list_printable(names: Sequence[str]) -> Iterator[str]:
    for name in names[:MAX_LISTED_NAMES]:
        yield UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), name)[:MAX_NAME_LENGTH]
    if len(names) > MAX_LISTED_NAMES:
        yield MORE_NAMES


def check_ignored(ignored: Sequence[str], *, strict: bool, why: str = "") -> tuple[str, ...]:
    """Returns the names of ignored parameters. strict: raises Problem (400) for the first one instead."""
    if strict and ignored:
        name = ignored[0]
        message = f"`{name}` would be ignored{why}. REJECT_UNSUPPORTED_PARAMS rejects it; leave it out."
        raise invalid_problem(message, name, "unsupported_parameter")
    return tuple(ignored)


def _check_range(name: str, value: object, limits: tuple[float, float] | None) -> None:
    if limits is None:
        return
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid_problem(f"`{name}` must be a number from {low:g} to {high:g}.", name)
