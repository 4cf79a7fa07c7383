"""Every parameter of a request and its treatment: a table for each dialect. The documents are generated from them.

Invariants: a parameter is supported, emulated, ignored, accepted or rejected. Ignored: it has no effect on guarantees, and
the response names it in a header; with REJECT_UNSUPPORTED_PARAMS it is rejected. Accepted: bookkeeping that needs no
action here. Rejected: the error names it.
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
    """The treatment of a parameter. range: of a number.

    harmless: values of a rejected or ignored parameter that request nothing but the default behaviour.
    """

    treatment: Treatment
    note: str
    harmless: tuple[object, ...] = ()
    range: tuple[float, float] | None = None


class Policy(Struct, frozen=True):
    """Settings of the server's owner.

    strict: reject parameters that would be ignored. max_choices: the largest `n`. keep_alive: seconds between keep-alive
    comments of a stream. show_reasoning: whether chat completions have `reasoning_content`: if requested, always, or
    never.
    """

    strict: bool = False
    max_choices: int = 4
    keep_alive: float = 10
    show_reasoning: ShowReasoning = "auto"


def _ignored(note: str, low: float | None = None, high: float | None = None) -> Parameter:
    return Parameter("ignored", note, range=None if low is None or high is None else (low, high))


CHAT_PARAMETERS: dict[str, Parameter] = {
    "messages": Parameter("supported", "each message reaches the model as a message of its own role"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "stream": Parameter("supported", ""),
    "stream_options": Parameter("supported", "`include_usage`"),
    "max_tokens": Parameter("supported", "the service's own limit"),
    "max_completion_tokens": Parameter("supported", "wins over `max_tokens`"),
    "tools": Parameter("supported", "with their names, descriptions and schemas"),
    "tool_choice": Parameter(
        "supported", "the service's own, or emulated where the model refuses to be forced; checked"
    ),
    "parallel_tool_calls": Parameter("supported", "the service's own switch, and checked"),
    "functions": Parameter("supported", "the legacy form of `tools`"),
    "function_call": Parameter("supported", "the legacy form of `tool_choice`"),
    "response_format": Parameter("supported", "the CLI's structured output, validated by it"),
    "reasoning_effort": Parameter("supported", "`none` and `minimal` are the CLI's `low`; shows the thinking"),
    "reasoning": Parameter("supported", "`effort`, `max_tokens`, `enabled`, `exclude`, as in other gateways"),
    "include_reasoning": Parameter("supported", "whether the thinking is shown, as in other gateways"),
    "stop": Parameter("supported", "up to 64; the server itself checks for texts of white space only"),
    "max_budget_usd": Parameter(
        "supported",
        "checked before each further message of the model, by the cost that the CLI reports",
    ),
    "n": Parameter("emulated", "several parallel conversations, up to MAX_CHOICES"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "seed": _ignored("the service does not offer it"),
    "frequency_penalty": _ignored("the service does not offer it", -2, 2),
    "presence_penalty": _ignored("the service does not offer it", -2, 2),
    "top_k": _ignored("current models take none"),
    "min_p": _ignored("the service does not offer it"),
    "top_a": _ignored("the service does not offer it"),
    "repetition_penalty": _ignored("the service does not offer it"),
    "logprobs": Parameter(
        "ignored", "the service does not offer it; `logprobs` of the answer is null", harmless=(False,)
    ),
    "top_logprobs": Parameter("ignored", "the service does not offer it", harmless=(0,)),
    "prediction": _ignored("it only saves time, which the service does not support"),
    "verbosity": _ignored("the service does not offer it"),
    "moderation": _ignored("no moderation model is used"),
    "thinking": _ignored("send `reasoning_effort` or `reasoning`"),
    "models": _ignored("one model answers; name it in `model`"),
    "route": _ignored("there is only one service"),
    "provider": _ignored("there is only one service"),
    "transforms": _ignored("conversations are never shortened"),
    "plugins": _ignored("this server has none"),
    "user": Parameter("accepted", ""),
    "metadata": Parameter("accepted", ""),
    "store": Parameter("accepted", "nothing is stored"),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content"),
    "safety_identifier": Parameter("accepted", ""),
    "usage": Parameter("accepted", "tokens and cost are in every answer"),
    "logit_bias": Parameter("rejected", "the service does not offer it", harmless=(None, {})),
    "audio": Parameter("rejected", "the models do not produce audio", harmless=(None,)),
    "modalities": Parameter("rejected", "the models answer in text only", harmless=(None, ["text"])),
    "web_search_options": Parameter("rejected", "the server has no web search tool", harmless=(None,)),
    "previous_response_id": Parameter("rejected", "send all messages, or use POST /v1/responses", harmless=(None, "")),
}

COMPLETIONS_PARAMETERS: dict[str, Parameter] = {
    "prompt": Parameter("emulated", "a text, or a list of texts; the model is instructed to continue it"),
    "suffix": Parameter("emulated", "the text after the gap; the model is instructed to fill it"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "max_tokens": Parameter("supported", "the service's own limit; unlimited by default, unlike OpenAI's 16"),
    "stop": Parameter("supported", "up to 64; the server itself checks for texts of white space only"),
    "stream": Parameter("supported", ""),
    "stream_options": Parameter("supported", "`include_usage`"),
    "max_budget_usd": Parameter("supported", "as for chat completions"),
    "n": Parameter("emulated", "several parallel conversations; MAX_CHOICES limits the total of all prompts"),
    "echo": Parameter("emulated", "the answer starts with the prompt"),
    "best_of": Parameter("emulated", "if it equals `n`; otherwise rejected: no measure ranks the answers"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "seed": _ignored("the service does not offer it"),
    "frequency_penalty": _ignored("the service does not offer it", -2, 2),
    "presence_penalty": _ignored("the service does not offer it", -2, 2),
    "top_k": _ignored("current models take none"),
    "min_p": _ignored("the service does not offer it"),
    "repetition_penalty": _ignored("the service does not offer it"),
    "logprobs": _ignored("the service does not offer it; `logprobs` of the answer is null"),
    "user": Parameter("accepted", ""),
    "logit_bias": Parameter("rejected", "the service does not offer it", harmless=(None, {})),
}

RESPONSES_PARAMETERS: dict[str, Parameter] = {
    "input": Parameter("supported", "a text, or items; the model receives each in its own role"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "instructions": Parameter("supported", "the first system text; not carried over from an earlier response"),
    "previous_response_id": Parameter("supported", "of a response that is still stored for the same key"),
    "store": Parameter(
        "supported",
        "stored unless `false`, within RESPONSE_STORE_MAX_ITEMS, RESPONSE_STORE_MAX_BYTES and RESPONSE_STORE_TTL",
    ),
    "stream": Parameter("supported", ""),
    "background": Parameter("supported", "answered immediately; poll with `GET`; requires `store`"),
    "max_output_tokens": Parameter("supported", "the service's own limit"),
    "tools": Parameter("supported", "functions, custom tools, namespaces; tools that OpenAI runs itself are ignored"),
    "tool_choice": Parameter(
        "supported", "the service's own, or emulated where the model refuses to be forced; checked"
    ),
    "parallel_tool_calls": Parameter("supported", "the service's own switch, and checked"),
    "text": Parameter("supported", "`format`: the CLI's structured output; `verbosity` is ignored"),
    "reasoning": Parameter("supported", "`effort`; `summary` shows the thinking; `context` and `mode` are ignored"),
    "include": Parameter("supported", "`reasoning.encrypted_content`; any other value is ignored"),
    "metadata": Parameter("supported", "returned, and stored with the response"),
    "truncation": Parameter("supported", "`disabled`; `auto` is ignored: conversations are never shortened"),
    "max_budget_usd": Parameter("supported", "as for chat completions"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "top_logprobs": Parameter("ignored", "the service does not offer it; `logprobs` are empty", harmless=(0,)),
    "context_management": _ignored("conversations are never shortened"),
    "moderation": _ignored("no moderation model is used"),
    "access_programs": _ignored("this server has none"),
    "background_options": _ignored("background responses start immediately"),
    "image": _ignored("images are not compressed"),
    "personality": _ignored("the models have no selectable personality"),
    "max_tool_calls": Parameter("accepted", "it limits tools that OpenAI runs itself"),
    "stream_options": Parameter("accepted", "`include_obfuscation`: no event is padded"),
    "user": Parameter("accepted", ""),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content; `prewarm` is ignored"),
    "safety_identifier": Parameter("accepted", ""),
    "client_metadata": Parameter("accepted", ""),
    "conversation": Parameter("rejected", "send `previous_response_id`, or the complete input", harmless=(None,)),
    "prompt": Parameter("rejected", "prompts are not stored; send `instructions` and `input`", harmless=(None,)),
}


def check_parameters(table: Mapping[str, Parameter], fields: Mapping[str, object], *, strict: bool) -> tuple[str, ...]:
    """Returns the names of the sent parameters that are ignored. Raises Problem for a rejected one."""
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
    """Returns the headers that name ignored parameters, and JSON that the model receives altered.

    Names may contain a client's text, so the values are made ASCII and limited in length (RFC 9110, section 5.5).
    """
    names_by_header = {"x-ignored-parameters": ignored, "x-altered-parameters": altered}
    return {header: ", ".join(_list_printable(names)) for header, names in names_by_header.items() if names}


def _list_printable(names: Sequence[str]) -> Iterator[str]:
    for name in names[:MAX_LISTED_NAMES]:
        yield UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), name)[:MAX_NAME_LENGTH]
    if len(names) > MAX_LISTED_NAMES:
        yield MORE_NAMES


def check_ignored(ignored: Sequence[str], *, strict: bool, why: str = "") -> tuple[str, ...]:
    """Returns the names of ignored parameters. Raises Problem (400) for the first one in strict mode."""
    if strict and ignored:
        name = ignored[0]
        message = f"`{name}` would be ignored{why}. REJECT_UNSUPPORTED_PARAMS is set, so leave it out."
        raise invalid_problem(message, name, "unsupported_parameter")
    return tuple(ignored)


def _check_range(name: str, value: object, limits: tuple[float, float] | None) -> None:
    if limits is None:
        return
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid_problem(f"`{name}` must be a number from {low:g} to {high:g}.", name)
