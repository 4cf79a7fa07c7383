"""Every parameter of a request and what becomes of it: a table for each dialect, which the manual repeats.

Law: a parameter is supported, emulated, ignored (it changes nothing of what is promised, and the response names it in a
header; REJECT_UNSUPPORTED_PARAMS refuses it instead), accepted here (bookkeeping of another vendor's), or refused by name.
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
    """harmless: values of one that is refused or ignored that ask for nothing beyond what is done anyway. range: of a number."""

    treatment: Treatment
    note: str
    harmless: tuple[object, ...] = ()
    range: tuple[float, float] | None = None


class Policy(Struct, frozen=True):
    """What the server's owner decided.

    strict: refuse what would be ignored. most_choices: the largest `n`. keep_alive: seconds between signs of life.
    show_reasoning: whether chat completions have `reasoning_content`: if the request asks for it, always, or never.
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
    "reasoning": Parameter("supported", "`effort`, `max_tokens`, `enabled`, `exclude`, as other gateways have it"),
    "include_reasoning": Parameter("supported", "whether the thinking is shown, as other gateways have it"),
    "stop": Parameter("supported", "up to 64; texts of white space only are watched for here"),
    "max_budget_usd": Parameter(
        "supported",
        "looked at before each further message of the model, by the cost that the CLI tells",
    ),
    "n": Parameter("emulated", "several conversations side by side, to MAX_CHOICES"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "seed": _ignored("the service has none"),
    "frequency_penalty": _ignored("the service has none", -2, 2),
    "presence_penalty": _ignored("the service has none", -2, 2),
    "top_k": _ignored("current models take none"),
    "min_p": _ignored("the service has none"),
    "top_a": _ignored("the service has none"),
    "repetition_penalty": _ignored("the service has none"),
    "logprobs": Parameter("ignored", "the service has none; `logprobs` of the answer is null", harmless=(False,)),
    "top_logprobs": Parameter("ignored", "the service has none", harmless=(0,)),
    "prediction": _ignored("only speeds up what the service can't speed up"),
    "verbosity": _ignored("the service has none"),
    "moderation": _ignored("no moderation model is asked"),
    "thinking": _ignored("send `reasoning_effort` or `reasoning`"),
    "models": _ignored("one model answers; name it in `model`"),
    "route": _ignored("one service answers"),
    "provider": _ignored("one service answers"),
    "transforms": _ignored("nothing is left out of a conversation"),
    "plugins": _ignored("there are none"),
    "user": Parameter("accepted", ""),
    "metadata": Parameter("accepted", ""),
    "store": Parameter("accepted", "nothing is stored"),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content"),
    "safety_identifier": Parameter("accepted", ""),
    "usage": Parameter("accepted", "tokens and cost are in every answer"),
    "logit_bias": Parameter("rejected", "the service has none", harmless=(None, {})),
    "audio": Parameter("rejected", "the models do not speak", harmless=(None,)),
    "modalities": Parameter("rejected", "the models answer in text", harmless=(None, ["text"])),
    "web_search_options": Parameter("rejected", "the server gives the model no tools of its own", harmless=(None,)),
    "previous_response_id": Parameter(
        "rejected", "POST /v1/responses takes it; send all messages", harmless=(None, "")
    ),
}

COMPLETIONS_PARAMETERS: dict[str, Parameter] = {
    "prompt": Parameter("emulated", "a text, or a list of texts; the model is told to continue it"),
    "suffix": Parameter("emulated", "the text after the gap; the model is told to fill it"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "max_tokens": Parameter("supported", "the service's own limit; none if it is left out, not OpenAI's 16"),
    "stop": Parameter("supported", "up to 64; texts of white space only are watched for here"),
    "stream": Parameter("supported", ""),
    "stream_options": Parameter("supported", "`include_usage`"),
    "max_budget_usd": Parameter("supported", "as of chat completions"),
    "n": Parameter("emulated", "several conversations side by side; with several prompts MAX_CHOICES limits them all"),
    "echo": Parameter("emulated", "the prompt goes before the answer"),
    "best_of": Parameter("emulated", "where it is `n`; else refused: nothing tells which answer is the best"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "seed": _ignored("the service has none"),
    "frequency_penalty": _ignored("the service has none", -2, 2),
    "presence_penalty": _ignored("the service has none", -2, 2),
    "top_k": _ignored("current models take none"),
    "min_p": _ignored("the service has none"),
    "repetition_penalty": _ignored("the service has none"),
    "logprobs": _ignored("the service has none; `logprobs` of the answer is null"),
    "user": Parameter("accepted", ""),
    "logit_bias": Parameter("rejected", "the service has none", harmless=(None, {})),
}

RESPONSES_PARAMETERS: dict[str, Parameter] = {
    "input": Parameter("supported", "a text, or items; each reaches the model in its own role"),
    "model": Parameter("supported", "a name of GET /v1/models; DEFAULT_MODEL without one"),
    "instructions": Parameter("supported", "the first system text; not carried over from an earlier response"),
    "previous_response_id": Parameter("supported", "of a response that is still kept for the same key"),
    "store": Parameter(
        "supported",
        "kept unless `false`, within RESPONSE_STORE_MAX_ITEMS, RESPONSE_STORE_MAX_BYTES and RESPONSE_STORE_TTL",
    ),
    "stream": Parameter("supported", ""),
    "background": Parameter("supported", "answered at once, and looked up by `GET`; needs `store`"),
    "max_output_tokens": Parameter("supported", "the service's own limit"),
    "tools": Parameter("supported", "functions, custom tools, namespaces; tools that OpenAI runs itself are ignored"),
    "tool_choice": Parameter(
        "supported", "the service's own, or emulated where the model refuses to be forced; checked"
    ),
    "parallel_tool_calls": Parameter("supported", "the service's own switch, and checked"),
    "text": Parameter("supported", "`format`: the CLI's structured output; `verbosity` is ignored"),
    "reasoning": Parameter("supported", "`effort`; `summary` shows the thinking; `context` and `mode` are ignored"),
    "include": Parameter("supported", "`reasoning.encrypted_content`; any other value is ignored"),
    "metadata": Parameter("supported", "given back, and kept with the response"),
    "truncation": Parameter("supported", "`disabled`; `auto` is ignored: nothing is left out of a conversation"),
    "max_budget_usd": Parameter("supported", "as of chat completions"),
    "temperature": _ignored("current models take none", 0, 2),
    "top_p": _ignored("current models take none", 0, 1),
    "top_logprobs": Parameter("ignored", "the service has none; `logprobs` are empty", harmless=(0,)),
    "context_management": _ignored("nothing is left out of a conversation"),
    "moderation": _ignored("no moderation model is asked"),
    "access_programs": _ignored("there are none"),
    "background_options": _ignored("what is in the background begins at once"),
    "image": _ignored("pictures are not compressed"),
    "personality": _ignored("the models have none to choose"),
    "max_tool_calls": Parameter("accepted", "it counts calls of tools that OpenAI runs itself"),
    "stream_options": Parameter("accepted", "`include_obfuscation`: no event is padded"),
    "user": Parameter("accepted", ""),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_options": Parameter("accepted", "the CLI caches by content; `prewarm` is ignored"),
    "safety_identifier": Parameter("accepted", ""),
    "client_metadata": Parameter("accepted", ""),
    "conversation": Parameter("rejected", "send `previous_response_id`, or the whole input", harmless=(None,)),
    "prompt": Parameter("rejected", "no prompts are kept here; send `instructions` and `input`", harmless=(None,)),
}


def check_parameters(table: Mapping[str, Parameter], fields: Mapping[str, object], *, strict: bool) -> tuple[str, ...]:
    """The names of the parameters that were sent and are ignored. Raises Problem for one that is refused."""
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
    """The headers that name what was sent and means nothing, and what the model reads in another form.

    Names may be the client's own words: their values are ASCII and of bounded length (RFC 9110, section 5.5).
    """
    named = {"x-ignored-parameters": ignored, "x-altered-parameters": altered}
    return {header: ", ".join(_list_printable(names)) for header, names in named.items() if names}


def _list_printable(names: Sequence[str]) -> Iterator[str]:
    for name in names[:MAX_LISTED_NAMES]:
        yield UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), name)[:MAX_NAME_LENGTH]
    if len(names) > MAX_LISTED_NAMES:
        yield MORE_NAMES


def check_ignored(ignored: Sequence[str], *, strict: bool, why: str = "") -> tuple[str, ...]:
    """The names of what was sent and means nothing. Raises Problem (400) for the first, if nothing may be ignored."""
    if strict and ignored:
        name = ignored[0]
        message = f"`{name}` would be ignored{why}. REJECT_UNSUPPORTED_PARAMS refuses it; leave it out."
        raise invalid_problem(message, name, "unsupported_parameter")
    return tuple(ignored)


def _check_range(name: str, value: object, limits: tuple[float, float] | None) -> None:
    if limits is None:
        return
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid_problem(f"`{name}` must be a number from {low:g} to {high:g}.", name)
